"""Tests of the cache of compiled constraints: one compilation each, bounded memory, eviction."""

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
from typing import Any, TypeAlias

import numpy as np
import pytest
from fastapi import Request
from starlette.types import Message

from models.checkpoint import load
from models.constraints.constraints import Constraints, UnsatisfiableError
from service.catalog.catalog import ServedModel
from service.catalog.compiled_constraints import CompiledConstraints
from service.catalog.constraints_cache import COMPILE, WARM_UP_COUNT, ConstraintsCache
from service.load.queue import SECONDS_PER_UNIT, THREADS, RequestQueue
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.support.http.wire import until

Compile: TypeAlias = Callable[[ServedModel, Constraints], CompiledConstraints]

CONSTRAINTS = [Constraints(max_length=length) for length in range(1, 9)]


def cache_of(limit: int) -> ConstraintsCache:
    """An empty cache with a limit in bytes."""
    metrics = Metrics(SECONDS_PER_UNIT)
    return ConstraintsCache(limit, RequestQueue(3600, metrics.jobs), metrics)


def served(checkpoints: Path, name: str) -> ServedModel:
    return ServedModel(name, load((checkpoints / f"{name}.safetensors").read_bytes()))


@pytest.fixture
def model(checkpoints: Path) -> ServedModel:
    return served(checkpoints, "positional")


@pytest.fixture
def compiled(model: ServedModel, monkeypatch: pytest.MonkeyPatch) -> list[Constraints]:
    """The constraints that have been compiled, in order."""
    recorded: list[Constraints] = []
    compile_original: Compile = ServedModel.compile

    def compile_and_record(model: ServedModel, constraints: Constraints) -> CompiledConstraints:
        recorded.append(constraints)
        return compile_original(model, constraints)

    monkeypatch.setattr(ServedModel, "compile", compile_and_record)
    return recorded


def test_constraints_are_compiled_once(model: ServedModel, compiled: list[Constraints]) -> None:
    async def run() -> None:
        cache = cache_of(10**9)
        first = await cache.get(model, Constraints())
        assert await cache.get(model, Constraints()) is first

    asyncio.run(run())
    assert compiled == [Constraints()]


def test_concurrent_requests_share_one_compilation(
    model: ServedModel, compiled: list[Constraints]
) -> None:
    async def run() -> None:
        cache = cache_of(10**9)
        samplers = await asyncio.gather(*[cache.get(model, Constraints()) for _ in range(20)])
        assert len(set(map(id, samplers))) == 1

    asyncio.run(run())
    assert compiled == [Constraints()]


def test_a_disconnected_client_does_not_cancel_the_compilation_for_others(
    model: ServedModel, compiled: list[Constraints]
) -> None:
    async def run() -> None:
        cache = cache_of(10**9)
        cancelled = asyncio.create_task(cache.get(model, Constraints()))
        waiting = asyncio.create_task(cache.get(model, Constraints()))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert (await waiting).support > 1e6

    asyncio.run(run())
    assert compiled == [Constraints()]


def test_a_compilation_without_waiters_is_cancelled(
    model: ServedModel, compiled: list[Constraints]
) -> None:
    async def run() -> None:
        metrics, end = Metrics(SECONDS_PER_UNIT), threading.Event()
        queue = RequestQueue(3600, metrics.jobs)
        cache = ConstraintsCache(10**9, queue, metrics)
        others = [asyncio.create_task(queue.call(COMPILE, end.wait)) for _ in range(THREADS)]
        await asyncio.sleep(0)
        abandoned, *waiting = [
            asyncio.create_task(cache.get(model, constraints))
            for constraints in (CONSTRAINTS[0], CONSTRAINTS[1], CONSTRAINTS[1])
        ]
        await asyncio.sleep(0)
        abandoned.cancel()
        waiting[0].cancel()
        await asyncio.wait([abandoned, waiting[0]])
        last = asyncio.create_task(cache.get(model, CONSTRAINTS[2]))
        end.set()
        await asyncio.gather(waiting[1], last, *others)
        # Two threads compile at the same time, so the order is not known.
        assert sorted(compiled, key=CONSTRAINTS.index) == CONSTRAINTS[1:3]
        await cache.get(model, CONSTRAINTS[0])
        assert compiled[2:] == CONSTRAINTS[:1]

    asyncio.run(run())


def test_a_model_can_be_evicted_while_a_client_waits(model: ServedModel) -> None:
    def connected() -> Request:
        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        return Request({"type": "http"}, receive)

    async def run() -> None:
        cache = cache_of(10**9)
        pending = asyncio.create_task(cache.get(model, Constraints(), connected()))
        await asyncio.sleep(0)
        cache.evict(model)
        assert (await pending).support > 1e6

    asyncio.run(run())


def test_the_least_recently_used_entries_are_evicted_above_the_limit(
    model: ServedModel, compiled: list[Constraints]
) -> None:
    async def run() -> None:
        sizes = [model.compile(constraints).size for constraints in CONSTRAINTS]
        compiled.clear()
        cache = cache_of(sum(sizes[-3:]))
        for constraints in CONSTRAINTS:
            await cache.get(model, constraints)
            assert cache.size <= sum(sizes[-3:])
            assert cache.size == sum(entry.size for entry in cache._entries.values())
        await cache.get(model, CONSTRAINTS[-3])  # used, so not the next to be evicted
        await cache.get(model, Constraints(max_length=1))
        assert compiled == [*CONSTRAINTS, Constraints(max_length=1)]
        for constraints in (CONSTRAINTS[-3], CONSTRAINTS[-1]):
            await cache.get(model, constraints)
        assert len(compiled) == len(CONSTRAINTS) + 1
        await cache.get(model, CONSTRAINTS[-2])
        assert compiled[-1] == CONSTRAINTS[-2]

    asyncio.run(run())


def test_the_newest_entry_stays_even_if_it_exceeds_the_limit(
    model: ServedModel, compiled: list[Constraints]
) -> None:
    async def run() -> None:
        cache = cache_of(1)
        for constraints in (Constraints(5), Constraints(5), Constraints(6), Constraints(6)):
            await cache.get(model, constraints)

    asyncio.run(run())
    assert compiled == [Constraints(5), Constraints(6)]


def test_the_entries_of_a_model_are_evicted_even_if_they_are_pending(
    checkpoints: Path,
) -> None:
    old, new = served(checkpoints, "positional"), served(checkpoints, "positional")

    async def run() -> None:
        cache = cache_of(10**9)
        kept = await cache.get(new, Constraints())
        await cache.get(old, Constraints())
        late = asyncio.create_task(cache.get(old, Constraints(5)))
        await asyncio.sleep(0)
        cache.evict(old)
        assert (await late).support > 1e5
        assert await cache.get(new, Constraints()) is kept
        assert cache.size == kept.size

    asyncio.run(run())


def test_the_latest_constraints_are_compiled_for_the_new_version(
    checkpoints: Path, compiled: list[Constraints]
) -> None:
    old, new = served(checkpoints, "positional"), served(checkpoints, "positional")

    async def run() -> None:
        cache = cache_of(10**9)
        for length in range(1, WARM_UP_COUNT + 3):
            await cache.get(old, Constraints(length))
        compiled.clear()
        await cache.warm_up(old, new)
        assert compiled == [Constraints(length) for length in range(3, WARM_UP_COUNT + 3)]

    asyncio.run(run())


def test_unsatisfiable_constraints_raise_each_time(model: ServedModel) -> None:
    async def run() -> None:
        cache = cache_of(10**9)
        for _ in range(2):
            with pytest.raises(UnsatisfiableError):
                await cache.get(model, Constraints(3, pattern="????"))
        assert cache.size == 0

    asyncio.run(run())


def assert_freed(run: Callable[[], Coroutine[Any, Any, weakref.ref[Any]]]) -> None:
    """Assert that the referent is freed without the garbage collector.

    The collector runs too seldom for objects of tens of megabytes.
    """
    gc.disable()
    try:
        reference = asyncio.run(run())
        until(lambda: reference() is None)  # the compiling thread releases it a little later
    finally:
        gc.enable()


def test_unsatisfiable_constraints_leave_nothing_in_memory(checkpoints: Path) -> None:
    async def run() -> weakref.ref[ServedModel]:
        model = served(checkpoints, "positional")
        with suppress(UnsatisfiableError):
            await cache_of(10**9).get(model, Constraints(3, pattern="????"))
        return weakref.ref(model)

    assert_freed(run)


def test_an_evicted_entry_is_freed_without_the_garbage_collector(
    model: ServedModel,
) -> None:
    async def run() -> weakref.ref[CompiledConstraints]:
        cache = cache_of(1)
        first = await cache.get(model, CONSTRAINTS[0])
        first.sampler.draw(300, np.random.default_rng(0))
        evicted = weakref.ref(first)
        del first
        for constraints in CONSTRAINTS[1:]:
            await cache.get(model, constraints)
        return evicted

    assert_freed(run)


VARIED = [
    Constraints(pattern=letter + "*", temperature=temperature, min_length=length)
    for letter, temperature, length in zip(
        "abcdefghijklmnopqrstuvwxyz****", itertools.cycle([1.0, 0.7, 2.0]), itertools.count(1)
    )
]


@pytest.mark.slow
def test_the_default_memory_holds_thirty_constraints_of_a_large_model(
    checkpoints: Path, compiled: list[Constraints]
) -> None:
    varied = [
        replace(constraints, min_length=1 + constraints.min_length % 7) for constraints in VARIED
    ]
    model = served(checkpoints, "fivegram")

    async def run() -> None:
        cache = cache_of(Settings().cache_mb * 1_000_000)
        for seed in (1, 2):
            for constraints in varied:
                entry = await cache.get(model, constraints)
                entry.sampler.draw(10, np.random.default_rng(seed))

    asyncio.run(run())
    assert compiled == varied


def test_growing_entries_stay_within_the_limit(model: ServedModel) -> None:
    async def run() -> None:
        sizes = [model.compile(constraints).size for constraints in CONSTRAINTS]
        limit = sum(sizes)
        cache = cache_of(limit)
        kept = [await cache.get(model, constraints) for constraints in CONSTRAINTS]
        assert cache.size == limit
        kept[-1].sampler.draw(10_000, np.random.default_rng(1))
        assert kept[-1].size > sizes[-1]
        assert cache.size == sum(entry.size for entry in cache._entries.values())
        assert cache.size <= limit
        assert len(cache._entries) < len(CONSTRAINTS)
        size = cache.size
        kept[0].sampler.draw(10_000, np.random.default_rng(1))  # evicted, so no longer counted
        assert cache.size == size

    asyncio.run(run())


@pytest.mark.parametrize("name", ["positional", "fivegram"])
@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(novel=True),
        pytest.param(Constraints(pattern="k" + "?" * 15), marks=pytest.mark.slow),
        pytest.param(Constraints(), marks=pytest.mark.slow),
        pytest.param(Constraints(temperature=1.5, pattern="k*"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("draws", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_compiled_constraints_take_no_more_memory_than_their_size(
    checkpoints: Path, name: str, constraints: Constraints, draws: int
) -> None:
    model = served(checkpoints, name)
    model.compile(Constraints(novel=True))  # allocates the lazy arrays of the model itself
    generator = np.random.default_rng(1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        compiled = model.compile(constraints)
        for count in [10] * draws + [10_000] * 3:
            compiled.sampler.draw(count, generator)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used < 1.1 * compiled.size + 100_000
