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
from models.constraints.constraints import Constraints, UnsatisfiableError
from models.queries.sampling import Sampler
from service.catalog.catalog import ServedModel
from service.catalog.sampler_cache import COMPILE, RENEWED, SamplerCache
from service.load.queue import SECONDS_PER_UNIT, THREADS, RequestQueue
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.support.http.wire import until

KEPT = [Constraints(max_length=length) for length in range(1, 9)]


def remembering(limit: int) -> SamplerCache:
    """Compiled wishes of up to so many bytes."""
    metrics = Metrics(SECONDS_PER_UNIT)
    return SamplerCache(limit, RequestQueue(3600, metrics.jobs), metrics)


def served(checkpoints: Path, name: str) -> ServedModel:
    return ServedModel(name, load((checkpoints / f"{name}.safetensors").read_bytes()))


@pytest.fixture
def model(checkpoints: Path) -> ServedModel:
    return served(checkpoints, "positional")


@pytest.fixture
def compiled(model: ServedModel, monkeypatch: pytest.MonkeyPatch) -> list[Constraints]:
    """The wishes that have been compiled, in order."""
    done: list[Constraints] = []
    compile_really: Callable[[ServedModel, Constraints], Sampler] = ServedModel.compile

    def compile_and_tell(model: ServedModel, constraints: Constraints) -> Sampler:
        done.append(constraints)
        return compile_really(model, constraints)

    monkeypatch.setattr(ServedModel, "compile", compile_and_tell)
    return done


def test_a_wish_is_compiled_once(model: ServedModel, compiled: list[Constraints]) -> None:
    async def ask() -> None:
        sampler_cache = remembering(10**9)
        first = await sampler_cache.sampler(model, Constraints())
        assert await sampler_cache.sampler(model, Constraints()) is first

    asyncio.run(ask())
    assert compiled == [Constraints()]


def test_many_who_wish_the_same_at_once_wait_for_one(
    model: ServedModel, compiled: list[Constraints]
) -> None:
    async def ask() -> None:
        sampler_cache = remembering(10**9)
        samplers = await asyncio.gather(
            *[sampler_cache.sampler(model, Constraints()) for _ in range(20)]
        )
        assert len(set(map(id, samplers))) == 1

    asyncio.run(ask())
    assert compiled == [Constraints()]


def test_one_who_goes_away_does_not_take_the_wish_from_the_others(
    model: ServedModel, compiled: list[Constraints]
) -> None:
    async def ask() -> None:
        sampler_cache = remembering(10**9)
        impatient = asyncio.create_task(sampler_cache.sampler(model, Constraints()))
        patient = asyncio.create_task(sampler_cache.sampler(model, Constraints()))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).support > 1e6

    asyncio.run(ask())
    assert compiled == [Constraints()]


def test_what_nobody_waits_for_any_more_is_not_compiled(
    model: ServedModel, compiled: list[Constraints]
) -> None:
    async def ask() -> None:
        metrics, end = Metrics(SECONDS_PER_UNIT), threading.Event()
        queue = RequestQueue(3600, metrics.jobs)
        sampler_cache = SamplerCache(10**9, queue, metrics)
        others = [asyncio.create_task(queue.call(COMPILE, end.wait)) for _ in range(THREADS)]
        await asyncio.sleep(0)
        left, *stay = [
            asyncio.create_task(sampler_cache.sampler(model, constraints))
            for constraints in (KEPT[0], KEPT[1], KEPT[1])
        ]
        await asyncio.sleep(0)
        left.cancel()
        stay[0].cancel()
        await asyncio.wait([left, stay[0]])
        back = asyncio.create_task(sampler_cache.sampler(model, KEPT[2]))
        end.set()
        await asyncio.gather(stay[1], back, *others)
        # Two threads compile them at once, so that either may begin.
        assert sorted(compiled, key=KEPT.index) == KEPT[1:3]
        await sampler_cache.sampler(model, KEPT[0])
        assert compiled[2:] == KEPT[:1]

    asyncio.run(ask())


def test_a_model_may_be_replaced_as_soon_as_a_client_waits(model: ServedModel) -> None:
    def connected() -> Request:
        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        return Request({"type": "http"}, receive)

    async def ask() -> None:
        sampler_cache = remembering(10**9)
        asked = asyncio.create_task(sampler_cache.sampler(model, Constraints(), connected()))
        await asyncio.sleep(0)
        sampler_cache.forget(model)
        assert (await asked).support > 1e6

    asyncio.run(ask())


def test_the_wishes_kept_are_the_last_used_and_within_the_limit(
    model: ServedModel, compiled: list[Constraints]
) -> None:
    async def ask() -> None:
        sizes = [model.compile(constraints).size for constraints in KEPT]
        compiled.clear()
        sampler_cache = remembering(sum(sizes[-3:]))
        for constraints in KEPT:
            await sampler_cache.sampler(model, constraints)
            assert sampler_cache.size <= sum(sizes[-3:])
            assert sampler_cache.size == sum(kept.size for kept in sampler_cache._kept.values())
        await sampler_cache.sampler(model, KEPT[-3])  # used: now it is not the first to go
        await sampler_cache.sampler(model, Constraints(max_length=1))
        assert compiled == [*KEPT, Constraints(max_length=1)]
        for constraints in (KEPT[-3], KEPT[-1]):
            await sampler_cache.sampler(model, constraints)
        assert len(compiled) == len(KEPT) + 1
        await sampler_cache.sampler(model, KEPT[-2])
        assert compiled[-1] == KEPT[-2]

    asyncio.run(ask())


def test_the_last_wish_is_kept_whatever_it_takes(
    model: ServedModel, compiled: list[Constraints]
) -> None:
    async def ask() -> None:
        sampler_cache = remembering(1)
        for constraints in (Constraints(5), Constraints(5), Constraints(6), Constraints(6)):
            await sampler_cache.sampler(model, constraints)

    asyncio.run(ask())
    assert compiled == [Constraints(5), Constraints(6)]


def test_the_wishes_of_a_model_are_let_go_of_even_if_they_are_still_under_way(
    checkpoints: Path,
) -> None:
    old, new = served(checkpoints, "positional"), served(checkpoints, "positional")

    async def ask() -> None:
        sampler_cache = remembering(10**9)
        kept = await sampler_cache.sampler(new, Constraints())
        await sampler_cache.sampler(old, Constraints())
        late = asyncio.create_task(sampler_cache.sampler(old, Constraints(5)))
        await asyncio.sleep(0)
        sampler_cache.forget(old)
        assert (await late).support > 1e5
        assert await sampler_cache.sampler(new, Constraints()) is kept
        assert sampler_cache.size == kept.size

    asyncio.run(ask())


def test_what_was_asked_last_is_compiled_for_the_model_that_comes_next(
    checkpoints: Path, compiled: list[Constraints]
) -> None:
    old, new = served(checkpoints, "positional"), served(checkpoints, "positional")

    async def ask() -> None:
        sampler_cache = remembering(10**9)
        for length in range(1, RENEWED + 3):
            await sampler_cache.sampler(old, Constraints(length))
        compiled.clear()
        await sampler_cache.renew(old, new)
        assert compiled == [Constraints(length) for length in range(3, RENEWED + 3)]

    asyncio.run(ask())


def test_what_cannot_be_fulfilled_is_said_each_time(model: ServedModel) -> None:
    async def ask() -> None:
        sampler_cache = remembering(10**9)
        for _ in range(2):
            with pytest.raises(UnsatisfiableError):
                await sampler_cache.sampler(model, Constraints(3, pattern="????"))
        assert sampler_cache.size == 0

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
        with suppress(UnsatisfiableError):
            await remembering(10**9).sampler(model, Constraints(3, pattern="????"))
        return weakref.ref(model)

    assert_freed(ask)


def test_a_sampler_that_is_dropped_leaves_memory_without_the_garbage_collector(
    model: ServedModel,
) -> None:
    async def ask() -> weakref.ref[Sampler]:
        sampler_cache = remembering(1)
        first = await sampler_cache.sampler(model, KEPT[0])
        first.draw(300, np.random.default_rng(0))
        dropped = weakref.ref(first)
        del first
        for constraints in KEPT[1:]:
            await sampler_cache.sampler(model, constraints)
        return dropped

    assert_freed(ask)


VARIED = [
    Constraints(pattern=letter + "*", temperature=temperature, min_length=length)
    for letter, temperature, length in zip(
        "abcdefghijklmnopqrstuvwxyz****", itertools.cycle([1.0, 0.7, 2.0]), itertools.count(1)
    )
]


def test_thirty_wishes_of_a_large_model_are_compiled_once_with_the_default_memory(
    checkpoints: Path, compiled: list[Constraints]
) -> None:
    wanted = [
        replace(constraints, min_length=1 + constraints.min_length % 7) for constraints in VARIED
    ]
    model = served(checkpoints, "fivegram")

    async def ask() -> None:
        sampler_cache = remembering(Settings().cache_mb * 1_000_000)
        for seed in (1, 2):
            for constraints in wanted:
                sampler = await sampler_cache.sampler(model, constraints)
                sampler.draw(10, np.random.default_rng(seed))

    asyncio.run(ask())
    assert compiled == wanted


def test_wishes_that_grow_together_stay_within_the_limit(model: ServedModel) -> None:
    async def ask() -> None:
        samplers = [model.compile(constraints) for constraints in KEPT]
        limit = sum(sampler.size for sampler in samplers)
        sampler_cache = remembering(limit)
        kept = [await sampler_cache.sampler(model, constraints) for constraints in KEPT]
        assert sampler_cache.size == limit
        kept[-1].draw(10_000, np.random.default_rng(1))
        assert kept[-1].size > samplers[-1].size
        assert sampler_cache.size == sum(kept.size for kept in sampler_cache._kept.values())
        assert sampler_cache.size <= limit
        assert len(sampler_cache._kept) < len(KEPT)
        size = sampler_cache.size
        kept[0].draw(10_000, np.random.default_rng(1))  # dropped: not counted any more
        assert sampler_cache.size == size

    asyncio.run(ask())


@pytest.mark.parametrize("name", ["positional", "fivegram"])
@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(novel=True),
        Constraints(pattern="k" + "?" * 15),
        pytest.param(Constraints(), marks=pytest.mark.slow),
        pytest.param(Constraints(temperature=1.5, pattern="k*"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("draws", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_wish_takes_no_more_memory_than_it_says(
    checkpoints: Path, name: str, constraints: Constraints, draws: int
) -> None:
    model = served(checkpoints, name)
    model.compile(Constraints(novel=True))  # what belongs to the model is there
    generator = np.random.default_rng(1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sampler = model.compile(constraints)
        for count in [10] * draws + [10_000] * 3:
            sampler.draw(count, generator)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < 1.1 * sampler.size + 100_000
