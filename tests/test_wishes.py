import asyncio
import gc
import itertools
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import Request
from starlette.types import Message

from models.checkpoint import load
from models.sampling import Sampler
from models.wish import ImpossibleError, Wish
from service.catalog import ServedModel
from service.load.queue import THREADS, Queue
from service.metrics import Metrics
from service.settings import Settings
from service.wishes import COMPILE, RENEWED, Wishes
from wire import until

KEPT = [Wish(max_length=length) for length in range(1, 9)]


def remembering(limit: int) -> Wishes:
    """Compiled wishes of up to so many bytes."""
    metrics = Metrics()
    return Wishes(limit, Queue(3600, metrics.jobs), metrics)


def served(checkpoints: Path, name: str) -> ServedModel:
    return ServedModel(name, load((checkpoints / f"{name}.safetensors").read_bytes()))


@pytest.fixture
def model(checkpoints: Path) -> ServedModel:
    return served(checkpoints, "positional")


@pytest.fixture
def compiled(model: ServedModel, monkeypatch: pytest.MonkeyPatch) -> list[Wish]:
    """The wishes that have been compiled, in order."""
    done: list[Wish] = []
    compile_really: Callable[[ServedModel, Wish], Sampler] = ServedModel.compile

    def compile_and_tell(model: ServedModel, wish: Wish) -> Sampler:
        done.append(wish)
        return compile_really(model, wish)

    monkeypatch.setattr(ServedModel, "compile", compile_and_tell)
    return done


def test_a_wish_is_compiled_once(model: ServedModel, compiled: list[Wish]) -> None:
    async def ask() -> None:
        wishes = remembering(10**9)
        first = await wishes.sampler(model, Wish())
        assert await wishes.sampler(model, Wish()) is first

    asyncio.run(ask())
    assert compiled == [Wish()]


def test_many_who_wish_the_same_at_once_wait_for_one(
    model: ServedModel, compiled: list[Wish]
) -> None:
    async def ask() -> None:
        wishes = remembering(10**9)
        samplers = await asyncio.gather(*[wishes.sampler(model, Wish()) for _ in range(20)])
        assert len(set(map(id, samplers))) == 1

    asyncio.run(ask())
    assert compiled == [Wish()]


def test_one_who_goes_away_does_not_take_the_wish_from_the_others(
    model: ServedModel, compiled: list[Wish]
) -> None:
    async def ask() -> None:
        wishes = remembering(10**9)
        impatient = asyncio.create_task(wishes.sampler(model, Wish()))
        patient = asyncio.create_task(wishes.sampler(model, Wish()))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).support > 1e6

    asyncio.run(ask())
    assert compiled == [Wish()]


def test_what_nobody_waits_for_any_more_is_not_compiled(
    model: ServedModel, compiled: list[Wish]
) -> None:
    async def ask() -> None:
        metrics, end = Metrics(), threading.Event()
        queue = Queue(3600, metrics.jobs)
        wishes = Wishes(10**9, queue, metrics)
        others = [asyncio.create_task(queue.call(COMPILE, end.wait)) for _ in range(THREADS)]
        await asyncio.sleep(0)
        left, *stay = [
            asyncio.create_task(wishes.sampler(model, wish)) for wish in (KEPT[0], KEPT[1], KEPT[1])
        ]
        await asyncio.sleep(0)
        left.cancel()
        stay[0].cancel()
        await asyncio.wait([left, stay[0]])
        back = asyncio.create_task(wishes.sampler(model, KEPT[2]))
        end.set()
        await asyncio.gather(stay[1], back, *others)
        # Two threads compile them at once, so that either may begin.
        assert sorted(compiled, key=KEPT.index) == KEPT[1:3]
        await wishes.sampler(model, KEPT[0])
        assert compiled[2:] == KEPT[:1]

    asyncio.run(ask())


def test_a_model_may_be_replaced_as_soon_as_a_client_waits(model: ServedModel) -> None:
    def connected() -> Request:
        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        return Request({"type": "http"}, receive)

    async def ask() -> None:
        wishes = remembering(10**9)
        asked = asyncio.create_task(wishes.sampler(model, Wish(), connected()))
        await asyncio.sleep(0)
        wishes.forget(model)
        assert (await asked).support > 1e6

    asyncio.run(ask())


def test_the_wishes_kept_are_the_last_used_and_within_the_limit(
    model: ServedModel, compiled: list[Wish]
) -> None:
    async def ask() -> None:
        sizes = [model.compile(wish).size for wish in KEPT]
        compiled.clear()
        wishes = remembering(sum(sizes[-3:]))
        for wish in KEPT:
            await wishes.sampler(model, wish)
            assert wishes.size <= sum(sizes[-3:])
            assert wishes.size == sum(kept.size for kept in wishes._kept.values())
        await wishes.sampler(model, KEPT[-3])  # used: now it is not the first to go
        await wishes.sampler(model, Wish(max_length=1))
        assert compiled == [*KEPT, Wish(max_length=1)]
        for wish in (KEPT[-3], KEPT[-1]):
            await wishes.sampler(model, wish)
        assert len(compiled) == len(KEPT) + 1
        await wishes.sampler(model, KEPT[-2])
        assert compiled[-1] == KEPT[-2]

    asyncio.run(ask())


def test_the_last_wish_is_kept_whatever_it_takes(model: ServedModel, compiled: list[Wish]) -> None:
    async def ask() -> None:
        wishes = remembering(1)
        for wish in (Wish(5), Wish(5), Wish(6), Wish(6)):
            await wishes.sampler(model, wish)

    asyncio.run(ask())
    assert compiled == [Wish(5), Wish(6)]


def test_the_wishes_of_a_model_are_let_go_of_even_if_they_are_still_under_way(
    checkpoints: Path,
) -> None:
    old, new = served(checkpoints, "positional"), served(checkpoints, "positional")

    async def ask() -> None:
        wishes = remembering(10**9)
        kept = await wishes.sampler(new, Wish())
        await wishes.sampler(old, Wish())
        late = asyncio.create_task(wishes.sampler(old, Wish(5)))
        await asyncio.sleep(0)
        wishes.forget(old)
        assert (await late).support > 1e5
        assert await wishes.sampler(new, Wish()) is kept
        assert wishes.size == kept.size

    asyncio.run(ask())


def test_what_was_asked_last_is_compiled_for_the_model_that_comes_next(
    checkpoints: Path, compiled: list[Wish]
) -> None:
    old, new = served(checkpoints, "positional"), served(checkpoints, "positional")

    async def ask() -> None:
        wishes = remembering(10**9)
        for length in range(1, RENEWED + 3):
            await wishes.sampler(old, Wish(length))
        compiled.clear()
        await wishes.renew(old, new)
        assert compiled == [Wish(length) for length in range(3, RENEWED + 3)]

    asyncio.run(ask())


def test_what_cannot_be_fulfilled_is_said_each_time(model: ServedModel) -> None:
    async def ask() -> None:
        wishes = remembering(10**9)
        for _ in range(2):
            with pytest.raises(ImpossibleError):
                await wishes.sampler(model, Wish(3, pattern="????"))
        assert wishes.size == 0

    asyncio.run(ask())


def assert_freed(ask: Callable[[], Coroutine[Any, Any, weakref.ref[Any]]]) -> None:
    """What the reference is to is freed without the garbage collector.

    The collector comes too seldom for objects of tens of megabytes.
    """
    gc.disable()
    try:
        left = asyncio.run(ask())
        until(lambda: left() is None)  # the thread that compiled releases it a little later
    finally:
        gc.enable()


def test_what_cannot_be_fulfilled_leaves_nothing_behind(checkpoints: Path) -> None:
    async def ask() -> weakref.ref[ServedModel]:
        model = served(checkpoints, "positional")
        with suppress(ImpossibleError):
            await remembering(10**9).sampler(model, Wish(3, pattern="????"))
        return weakref.ref(model)

    assert_freed(ask)


def test_a_sampler_that_is_dropped_leaves_memory_without_the_garbage_collector(
    model: ServedModel,
) -> None:
    async def ask() -> weakref.ref[Sampler]:
        wishes = remembering(1)
        first = await wishes.sampler(model, KEPT[0])
        first.draw(300, np.random.default_rng(0))
        dropped = weakref.ref(first)
        del first
        for wish in KEPT[1:]:
            await wishes.sampler(model, wish)
        return dropped

    assert_freed(ask)


VARIED = [
    Wish(pattern=letter + "*", temperature=temperature, min_length=length)
    for letter, temperature, length in zip(
        "abcdefghijklmnopqrstuvwxyz****", itertools.cycle([1.0, 0.7, 2.0]), itertools.count(1)
    )
]


def test_thirty_wishes_of_a_large_model_are_compiled_once_with_the_default_memory(
    checkpoints: Path, compiled: list[Wish]
) -> None:
    wanted = [replace(wish, min_length=1 + wish.min_length % 7) for wish in VARIED]
    model = served(checkpoints, "fivegram")

    async def ask() -> None:
        wishes = remembering(Settings().wishes_mb * 1_000_000)
        for seed in (1, 2):
            for wish in wanted:
                sampler = await wishes.sampler(model, wish)
                sampler.draw(10, np.random.default_rng(seed))

    asyncio.run(ask())
    assert compiled == wanted


def test_wishes_that_grow_together_stay_within_the_limit(model: ServedModel) -> None:
    async def ask() -> None:
        samplers = [model.compile(wish) for wish in KEPT]
        limit = sum(sampler.size for sampler in samplers)
        wishes = remembering(limit)
        kept = [await wishes.sampler(model, wish) for wish in KEPT]
        assert wishes.size == limit
        kept[-1].draw(10_000, np.random.default_rng(1))
        assert kept[-1].size > samplers[-1].size
        assert wishes.size == sum(kept.size for kept in wishes._kept.values())
        assert wishes.size <= limit
        assert len(wishes._kept) < len(KEPT)
        size = wishes.size
        kept[0].draw(10_000, np.random.default_rng(1))  # dropped: not counted any more
        assert wishes.size == size

    asyncio.run(ask())


@pytest.mark.parametrize("name", ["positional", "fivegram"])
@pytest.mark.parametrize(
    "wish",
    [
        Wish(novel=True),
        Wish(pattern="k" + "?" * 15),
        pytest.param(Wish(), marks=pytest.mark.slow),
        pytest.param(Wish(temperature=1.5, pattern="k*"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("draws", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_wish_takes_no_more_memory_than_it_says(
    checkpoints: Path, name: str, wish: Wish, draws: int
) -> None:
    model = served(checkpoints, name)
    model.compile(Wish(novel=True))  # what belongs to the model is there
    generator = np.random.default_rng(1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sampler = model.compile(wish)
        for count in [10] * draws + [10_000] * 3:
            sampler.draw(count, generator)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < 1.1 * sampler.size + 100_000
