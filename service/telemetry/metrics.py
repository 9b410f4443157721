"""What the service counts, for Prometheus.

With several processes each counts for itself, in a file; the one that is asked adds them up.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

# In seconds. Most requests take some hundreds of microseconds.
BUCKETS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30)


class Metrics:
    """The metrics of a process.

    kinds: the kinds of work in the request queue
    shared: folder in which several processes count, none if this is the only one
    """

    def __init__(self, kinds: Iterable[str], shared: Path | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        mine = CollectorRegistry()
        self._all = CollectorRegistry() if shared else mine
        if shared:
            MultiProcessCollector(self._all, str(shared))  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=mine)
        counter = partial(Counter, registry=mine)
        gauge = partial(Gauge, registry=mine, multiprocess_mode="livesum")
        self._durations = Histogram(
            "moniker_request_duration_seconds",
            "Time from a request's head to the end of its reply.",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=mine,
        )
        self.in_flight = gauge("moniker_requests_in_flight", "Requests that are being answered.")
        self.waiting = gauge("moniker_requests_waiting", "Requests that have not begun.")
        self.jobs = gauge("moniker_jobs", "Requests whose work is under way or waits.")
        self.streams = gauge("moniker_streams", "Stream slots that are held.")
        self._shed = counter(
            "moniker_requests_shed_total", "Requests refused: there was too much to do.", ["reason"]
        )
        self._refused = counter(
            "moniker_connections_refused_total",
            "Connections closed because of what came or did not come over them.",
            ["reason"],
        )
        self._sampled = counter("moniker_names_sampled_total", "Names drawn.", ["model"])
        self._scored = counter("moniker_names_scored_total", "Names scored.", ["model"])
        self.wishes_bytes = gauge("moniker_wishes_bytes", "Memory of the wishes remembered.")
        self._wishes = counter(
            "moniker_wishes_total", "Wishes looked up: remembered or compiled.", ["result"]
        )
        self._reloads = counter(
            "moniker_reloads_total", "Changed checkpoint files: in service or failed.", ["result"]
        )
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self.wish_hit, self.wish_miss = map(self._wishes.labels, ("hit", "miss"))
        self._begin_at_zero(kinds)

    def _begin_at_zero(self, kinds: Iterable[str]) -> None:
        """Have the series from the start, so that the first increase is seen."""
        for counter, values in (
            (self._shed, ("requests", "streams", *kinds)),
            (self._refused, ("malformed", "late", "too_large", "too_many", "unread")),
            (self._reloads, ("loaded", "failed")),
        ):
            for value in values:
                counter.labels(value)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request is over."""
        key = method, route, status
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._durations.labels(method, route, str(status))
        child.observe(seconds)

    def shed(self, reason: str) -> None:
        """A request was refused because there was too much to do."""
        self._shed.labels(reason).inc()

    def refused(self, reason: str) -> None:
        """A connection was closed because of what came or did not come over it."""
        self._refused.labels(reason).inc()

    def sampled(self, model: str, names: int) -> None:
        """Names were drawn."""
        self._sampled.labels(model).inc(names)

    def scored(self, model: str, names: int) -> None:
        """Names were scored."""
        self._scored.labels(model).inc(names)

    def reloaded(self, result: str) -> None:
        """A changed file was `loaded` or has `failed`."""
        self._reloads.labels(result).inc()

    def add(self, collector: Collector) -> None:
        """Expose the samples of a collector too."""
        self._all.register(collector)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All of it in the format that an Accept header wants, and its media type."""
        try:
            encode, media = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is none
            encode, media = choose_encoder("")
        return encode(self._all), media
