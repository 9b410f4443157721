"""Wishes compiled for a model, the last used of them kept as far as the memory for them goes."""

import asyncio
from collections import OrderedDict
from typing import TypeAlias

from anyio import CapacityLimiter, to_thread

from models.sampling import Sampler
from models.wish import Wish
from service.catalog import ServedModel

THREADS = 2  # that compile

Key: TypeAlias = tuple[ServedModel, Wish]


class Wishes:
    """Compiled wishes of up to `limit` bytes in all; the last one is kept whatever it takes.

    size: in bytes, at most; added up as wishes come and go, for there may be thousands
    """

    def __init__(self, limit: int) -> None:
        self.size = 0
        # Of their own, so that names of known wishes do not wait for new wishes.
        self._threads = CapacityLimiter(THREADS)
        self._limit = limit
        self._kept: OrderedDict[Key, Sampler] = OrderedDict()
        self._under_way: dict[Key, asyncio.Task[Sampler]] = {}

    async def sampler(self, model: ServedModel, wish: Wish) -> Sampler:
        """Names of a model that fulfil a wish. Raises WishError.

        A new wish is compiled in a thread, once however many requests wait for it.
        """
        key = model, wish
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._under_way:
            task = asyncio.create_task(self._compile(key))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        # A client that goes away must not take the wish from the others.
        return await asyncio.shield(self._under_way[key])

    async def _compile(self, key: Key) -> Sampler:
        model, wish = key
        sampler = await to_thread.run_sync(model.compile, wish, limiter=self._threads)
        self._kept[key] = sampler
        self.size += sampler.size
        while len(self._kept) > 1 and self.size > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self.size -= oldest.size
        return sampler
