"""Wishes compiled for a model, the last used of them kept as far as the memory for them goes."""

import asyncio
from collections import Counter, OrderedDict
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import TypeAlias

from fastapi import Request

from models.constraints.constraints import ConstraintError, Constraints
from models.queries.sampling import Sampler, do_nothing
from service.catalog.catalog import ServedModel
from service.errors import OverloadError
from service.load.disconnect import while_connected
from service.load.queue import RequestQueue, Work
from service.telemetry.metrics import Metrics

RENEWED = 8  # wishes that are compiled for a new model at once

COMPILE = Work("compile", 1)

Key: TypeAlias = tuple[ServedModel, Constraints]


class SamplerCache:
    """Compiled wishes of up to `limit` bytes in all; the last one is kept whatever it takes.

    size: in bytes, without the arrays of the models; kept up to date as wishes come, grow and
        go, because there may be thousands
    """

    def __init__(self, limit: int, queue: RequestQueue, metrics: Metrics) -> None:
        self.size = 0
        self._metrics = metrics
        self._queue = queue
        self._limit = limit
        self._kept: OrderedDict[Key, Sampler] = OrderedDict()
        self._sizes: dict[Key, int] = {}  # of the samplers kept, as added up in `size`
        self._lock = Lock()  # of these: samplers grow in threads
        self._under_way: dict[Key, asyncio.Task[Sampler]] = {}
        self._waiting: Counter[Key] = Counter()  # how many wait for each of these
        self._begun: set[Key] = set()  # those of them whose turn has come

    async def sampler(
        self, model: ServedModel, constraints: Constraints, request: Request | None = None
    ) -> Sampler:
        """Names of a model that fulfil a wish.

        A new wish is compiled in a thread, once however many requests wait for it. It is dropped
        if all their clients disconnect before it begins. Raises ConstraintError, or
        OverloadError if it would have to wait too long.
        """
        key = model, constraints
        if sampler := self._find(key):
            self._metrics.cache_hits.inc()
            return sampler
        self._metrics.cache_misses.inc()
        if key not in self._under_way:
            self._queue.check(COMPILE)
            self._begin(key)
        self._waiting[key] += 1
        try:
            # A client that goes away must not take the wish from the others.
            result = asyncio.shield(self._under_way[key])
            return await (while_connected(request, result) if request else result)
        finally:
            del result  # an error of the compilation knows this frame
            self._leave(key)

    def _leave(self, key: Key) -> None:
        """Wait no more; drop the compilation if nobody does and it has not begun."""
        self._waiting[key] -= 1
        if not self._waiting[key]:
            del self._waiting[key]
            if key in self._under_way and key not in self._begun:
                self._under_way.pop(key).cancel()

    def _begin(self, key: Key) -> None:
        # Apart: if it fails, a frame that waits for it and knows it would not go with its error.
        task = asyncio.create_task(self._compile(key))
        self._under_way[key] = task
        task.add_done_callback(lambda _: self._end(key, task))

    def _end(self, key: Key, task: asyncio.Task[Sampler]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]

    async def _compile(self, key: Key) -> Sampler:
        model, constraints = key

        def compile_now() -> Sampler:
            self._begun.add(key)
            return model.compile(constraints)

        try:
            sampler = await self._queue.call(COMPILE, compile_now)
        except ConstraintError as error:
            # Without the frames that it came through: what they have in hand takes megabytes,
            # and one of them knows a future that knows the error.
            raise error.with_traceback(None) from None
        finally:
            self._begun.discard(key)
        if key in self._under_way:  # else the model has been replaced meanwhile
            self._keep(key, sampler)
        return sampler

    def _find(self, key: Key) -> Sampler | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Key, sampler: Sampler) -> None:
        with self._lock:
            self._kept[key], self._sizes[key] = sampler, 0
        sampler.on_growth = partial(self._count, key, sampler)
        sampler.on_growth()

    def _count(self, key: Key, sampler: Sampler) -> None:
        """Add the growth of a sampler, and drop the least recently used while over the limit.

        Called from any thread.
        """
        with self._lock:
            if self._kept.get(key) is not sampler:
                return
            grown = sampler.size - self._sizes[key]
            self._sizes[key] += grown
            self.size += grown
            while len(self._kept) > 1 and self.size > self._limit:
                self._drop(next(iter(self._kept)))
            self._metrics.cache_bytes.set(self.size)

    def _drop(self, key: Key) -> None:
        # Its callback knows it: a cycle, whose arrays would stay until the garbage collector runs.
        self._kept.pop(key).on_growth = do_nothing
        self.size -= self._sizes.pop(key)

    async def renew(self, old: ServedModel, new: ServedModel) -> None:
        """Compile for a new model what was asked of the old one last, before all ask at once."""
        with self._lock:
            last = [constraints for model, constraints in self._kept if model is old][-RENEWED:]
        for constraints in last:
            with suppress(ConstraintError, OverloadError):
                await self.sampler(new, constraints)

    def forget(self, model: ServedModel) -> None:
        """Let go of the wishes of a model that is not in service any more."""
        with self._lock:
            for key in [key for key in self._kept if key[0] is model]:
                self._drop(key)
        for key in [key for key in self._under_way if key[0] is model]:
            del self._under_way[key]  # those who wait for it get it all the same
        self._metrics.cache_bytes.set(self.size)
