"""The metrics of the models in service."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.catalog.catalog import Catalog


class ModelCollector(Collector):
    """What the models in service are, looked up when asked."""

    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        self._catalog = catalog

    def collect(self) -> Iterator[Metric]:
        """A sample for each model."""
        catalog = self._catalog()
        info = GaugeMetricFamily(
            "moniker_model_info", "1 for each model in service.",
            labels=["model", "checkpoint", "architecture"],
        )  # fmt: skip
        age = GaugeMetricFamily(
            "moniker_model_age_seconds", "Time since it was trained.", labels=["model"]
        )
        failing = GaugeMetricFamily(
            "moniker_model_failing", "1 if its file cannot be loaded as it is now.",
            labels=["model"],
        )  # fmt: skip
        for name, model in catalog.models.items():
            info.add_metric(
                [name, model.version, model.checkpoint.model.feature_map.architecture], 1
            )
            age.add_metric([name], _age(model.checkpoint.provenance.trained_at))
        for name in sorted({*catalog.models, *catalog.failures}):
            failing.add_metric([name], float(name in catalog.failures))
        yield from (info, age, failing)


def _age(trained_at: str) -> float:
    """Seconds since a time in ISO 8601."""
    return (datetime.now(UTC) - datetime.fromisoformat(trained_at)).total_seconds()
