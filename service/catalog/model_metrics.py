"""Prometheus metrics of the models in service."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.catalog.catalog import Catalog


class ModelCollector(Collector):
    """Collector that reads the current catalog at each scrape."""

    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        self._catalog = catalog

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, with a sample for each model."""
        catalog = self._catalog()
        info = GaugeMetricFamily(
            "moniker_model_info", "1 for each model in service.",
            labels=["model", "checkpoint", "architecture"],
        )  # fmt: skip
        age = GaugeMetricFamily(
            "moniker_model_age_seconds", "Time since the model was trained.", labels=["model"]
        )
        failing = GaugeMetricFamily(
            "moniker_model_failing", "1 if the checkpoint file of the model cannot be loaded.",
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
    """Return the seconds since an ISO 8601 timestamp."""
    return (datetime.now(UTC) - datetime.fromisoformat(trained_at)).total_seconds()
