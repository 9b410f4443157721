"""Cache of compiled constraints, by model; the least recently used are evicted."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any, TypeAlias, cast

from fastapi import Request

from models.constraints.constraints import ConstraintError, Constraints
from models.queries.sampling import do_nothing
from service.catalog.catalog import ServedModel
from service.catalog.compiled_constraints import CompiledConstraints
from service.errors import OverloadError
from service.load.disconnect import while_connected
from service.load.queue import RequestQueue, Work
from service.telemetry.metrics import Metrics

WARM_UP_COUNT = 8  # constraints that are compiled for a new version before it serves

COMPILE = Work("compile", 1)

Key: TypeAlias = tuple[ServedModel, Constraints]


class ConstraintsCache:
    """Compiled constraints of at most `limit` bytes in total; the newest entry always stays.

    size: bytes without the arrays of the models. A running total, updated whenever an entry is
        added, grows or is evicted, because there may be thousands of entries.
    """

    def __init__(self, limit: int, queue: RequestQueue, metrics: Metrics) -> None:
        self.size = 0
        self._metrics = metrics
        self._queue = queue
        self._limit = limit
        self._entries: OrderedDict[Key, CompiledConstraints] = OrderedDict()
        self._sizes: dict[Key, int] = {}  # of the entries, as added up in `size`
        self._lock = Lock()  # guards the entries and sizes, because samplers grow in threads
        self._pending: dict[Key, asyncio.Task[CompiledConstraints]] = {}
        self._waiters: Counter[Key] = Counter()  # requests that wait for each pending compilation
        self._started: set[Key] = set()  # pending compilations that run in a thread

    @classmethod
    def in_state(cls, state: Mapping[str, Any]) -> "ConstraintsCache":
        """Return the cache in the state of an ASGI scope."""
        return cast(ConstraintsCache, state["constraints_cache"])

    async def get(
        self, model: ServedModel, constraints: Constraints, request: Request | None = None
    ) -> CompiledConstraints:
        """Return constraints compiled for a model.

        New constraints are compiled in a thread, once for all requests that wait for them. The
        compilation is cancelled if all these clients disconnect before it starts. Raises
        ConstraintError, or OverloadError if it would have to wait too long.
        """
        key = model, constraints
        if compiled := self._find(key):
            self._metrics.cache_hits.inc()
            return compiled
        self._metrics.cache_misses.inc()
        if key not in self._pending:
            self._queue.admit(COMPILE)
            self._start(key)
        self._waiters[key] += 1
        try:
            # Shielded: a client that disconnects must not cancel it for the others.
            result = asyncio.shield(self._pending[key])
            return await (while_connected(request, result) if request else result)
        finally:
            del result  # a traceback of the compilation refers to this frame
            self._stop_waiting(key)

    def _stop_waiting(self, key: Key) -> None:
        """Cancel a compilation that has not started when its last waiter leaves."""
        self._waiters[key] -= 1
        if not self._waiters[key]:
            del self._waiters[key]
            if key in self._pending and key not in self._started:
                self._pending.pop(key).cancel()

    def _start(self, key: Key) -> None:
        # In a function of its own: if the task fails, its error refers to the frames that wait
        # for it, and a frame that also refers to the task would make a cycle.
        task = asyncio.create_task(self._compile(key))
        self._pending[key] = task
        task.add_done_callback(lambda _: self._finish(key, task))

    def _finish(self, key: Key, task: asyncio.Task[CompiledConstraints]) -> None:
        if self._pending.get(key) is task:
            del self._pending[key]

    async def _compile(self, key: Key) -> CompiledConstraints:
        model, constraints = key

        def compile_now() -> CompiledConstraints:
            self._started.add(key)
            return model.compile(constraints)

        try:
            compiled = await self._queue.call(COMPILE, compile_now)
        except ConstraintError as error:
            # Without the traceback: the locals of its frames take megabytes, and one of them is
            # a future that refers to the error, a cycle.
            raise error.with_traceback(None) from None
        finally:
            self._started.discard(key)
        if key in self._pending:  # otherwise the model was replaced in the meantime
            self._add(key, compiled)
        return compiled

    def _find(self, key: Key) -> CompiledConstraints | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def _add(self, key: Key, compiled: CompiledConstraints) -> None:
        with self._lock:
            self._entries[key], self._sizes[key] = compiled, 0
        compiled.sampler.on_growth = partial(self._update_size, key, compiled)
        compiled.sampler.on_growth()

    def _update_size(self, key: Key, compiled: CompiledConstraints) -> None:
        """Add the growth of an entry, and evict the least recently used above the limit.

        Called from any thread.
        """
        with self._lock:
            if self._entries.get(key) is not compiled:
                return
            growth = compiled.size - self._sizes[key]
            self._sizes[key] += growth
            self.size += growth
            while len(self._entries) > 1 and self.size > self._limit:
                self._remove(next(iter(self._entries)))
            self._metrics.cache_bytes.set(self.size)

    def _remove(self, key: Key) -> None:
        # The callback refers to its entry: a cycle, whose arrays would stay in memory until the
        # garbage collector runs.
        self._entries.pop(key).sampler.on_growth = do_nothing
        self.size -= self._sizes.pop(key)

    async def warm_up(self, old: ServedModel, new: ServedModel) -> None:
        """Compile the latest constraints of a model for its new version, before it serves."""
        with self._lock:
            latest = [constraints for model, constraints in self._entries if model is old]
        for constraints in latest[-WARM_UP_COUNT:]:
            with suppress(ConstraintError, OverloadError):
                await self.get(new, constraints)

    def evict(self, model: ServedModel) -> None:
        """Remove all entries of a model that is no longer in service."""
        with self._lock:
            for key in [key for key in self._entries if key[0] is model]:
                self._remove(key)
        for key in [key for key in self._pending if key[0] is model]:
            del self._pending[key]  # requests that wait for it still get the result
        self._metrics.cache_bytes.set(self.size)
