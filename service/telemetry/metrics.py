"""Prometheus metrics of the service.

Each of several processes counts in a file of its own; the process that serves /metrics adds up
all files.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

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

# Seconds. Most requests take a few hundred microseconds.
BUCKETS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30)


class Metrics:
    """The metrics of a process.

    kinds: the kinds of work in the request queue
    shared: the folder in which several processes count; None for a single process
    """

    def __init__(self, kinds: Iterable[str], shared: Path | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        own = CollectorRegistry()
        self._all = CollectorRegistry() if shared else own
        if shared:
            MultiProcessCollector(self._all, str(shared))  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=own)
        counter = partial(Counter, registry=own)
        gauge = partial(Gauge, registry=own, multiprocess_mode="livesum")
        self._durations = Histogram(
            "moniker_request_duration_seconds",
            "Time from the headers of a request to the end of its response.",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=own,
        )
        self.in_flight = gauge("moniker_requests_in_flight", "Requests that have no response yet.")
        self.waiting = gauge("moniker_requests_waiting", "Requests that have not started.")
        self.jobs = gauge("moniker_jobs", "Requests whose work is running or waiting.")
        self.streams = gauge("moniker_streams", "Stream slots in use.")
        self._shed = counter(
            "moniker_requests_shed_total", "Requests rejected under overload.", ["reason"]
        )
        self._refused = counter(
            "moniker_connections_refused_total",
            "Connections closed because the client sent invalid or too much data, or was too slow.",
            ["reason"],
        )
        self._sampled = counter("moniker_names_sampled_total", "Names sampled.", ["model"])
        self._scored = counter("moniker_names_scored_total", "Names scored.", ["model"])
        self.cache_bytes = gauge(
            "moniker_constraints_cache_bytes", "Size of the cache of compiled constraints."
        )
        lookups = counter(
            "moniker_constraints_cache_lookups_total",
            "Lookups in the cache of compiled constraints.",
            ["result"],
        )
        self.cache_hits, self.cache_misses = map(lookups.labels, ("hit", "miss"))
        self._reloads = counter(
            "moniker_reloads_total", "Changed checkpoint files, loaded or failed.", ["result"]
        )
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self._begin_at_zero(kinds)

    def _begin_at_zero(self, kinds: Iterable[str]) -> None:
        """Create the series now, so that Prometheus sees their first increase."""
        for counter, values in (
            (self._shed, ("requests", "streams", *kinds)),
            (self._refused, ("malformed", "late", "too_large", "too_many", "unread")),
            (self._reloads, ("loaded", "failed")),
        ):
            for value in values:
                counter.labels(value)

    @classmethod
    def in_state(cls, state: Mapping[str, Any]) -> "Metrics":
        """Return the metrics in the state of an ASGI scope."""
        return cast(Metrics, state["metrics"])

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record the duration of a request."""
        key = method, route, status
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._durations.labels(method, route, str(status))
        child.observe(seconds)

    def shed(self, reason: str) -> None:
        """Count a request that was rejected under overload."""
        self._shed.labels(reason).inc()

    def refused(self, reason: str) -> None:
        """Count a connection that was closed because of its client."""
        self._refused.labels(reason).inc()

    def sampled(self, model: str, names: int) -> None:
        """Count sampled names."""
        self._sampled.labels(model).inc(names)

    def scored(self, model: str, names: int) -> None:
        """Count scored names."""
        self._scored.labels(model).inc(names)

    def reloaded(self, result: str) -> None:
        """Count a changed checkpoint file. The result is `loaded` or `failed`."""
        self._reloads.labels(result).inc()

    def add(self, collector: Collector) -> None:
        """Add the metrics of a collector."""
        self._all.register(collector)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the format of an Accept header, and their media type."""
        try:
            encode, media = choose_encoder(accept)
        except (TypeError, ValueError):  # the header has an invalid version
            encode, media = choose_encoder("")
        return encode(self._all), media
