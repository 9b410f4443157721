import asyncio
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.sampling import Sampler
from models.wish import ImpossibleError, Wish
from service.catalog import ServedModel, load_catalog
from service.wishes import Wishes

KEPT = [Wish(max_length=length) for length in range(1, 9)]


@pytest.fixture
def model(checkpoints: Path) -> ServedModel:
    return load_catalog(checkpoints, "positional").get(None)


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
        wishes = Wishes(10**9)
        first = await wishes.sampler(model, Wish())
        assert await wishes.sampler(model, Wish()) is first

    asyncio.run(ask())
    assert compiled == [Wish()]


def test_many_who_wish_the_same_at_once_wait_for_one(
    model: ServedModel, compiled: list[Wish]
) -> None:
    async def ask() -> None:
        wishes = Wishes(10**9)
        samplers = await asyncio.gather(*[wishes.sampler(model, Wish()) for _ in range(20)])
        assert len(set(map(id, samplers))) == 1

    asyncio.run(ask())
    assert compiled == [Wish()]


def test_one_who_goes_away_does_not_take_the_wish_from_the_others(
    model: ServedModel, compiled: list[Wish]
) -> None:
    async def ask() -> None:
        wishes = Wishes(10**9)
        impatient = asyncio.create_task(wishes.sampler(model, Wish()))
        patient = asyncio.create_task(wishes.sampler(model, Wish()))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).support > 1e6

    asyncio.run(ask())
    assert compiled == [Wish()]


def test_the_wishes_kept_are_the_last_used_and_within_the_limit(
    model: ServedModel, compiled: list[Wish]
) -> None:
    async def ask() -> None:
        sizes = [model.compile(wish).size for wish in KEPT]
        compiled.clear()
        wishes = Wishes(sum(sizes[-3:]))
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
        wishes = Wishes(1)
        for wish in (Wish(5), Wish(5), Wish(6), Wish(6)):
            await wishes.sampler(model, wish)

    asyncio.run(ask())
    assert compiled == [Wish(5), Wish(6)]


def test_what_cannot_be_fulfilled_is_said_each_time(model: ServedModel) -> None:
    async def ask() -> None:
        wishes = Wishes(10**9)
        for _ in range(2):
            with pytest.raises(ImpossibleError):
                await wishes.sampler(model, Wish(3, pattern="????"))
        assert wishes.size == 0

    asyncio.run(ask())


@pytest.mark.parametrize("name", ["positional", "fivegram"])
@pytest.mark.parametrize(
    "wish",
    [Wish(), Wish(temperature=1.5, pattern="k*"), Wish(novel=True), Wish(pattern="k" + "?" * 15)],
)
def test_a_wish_takes_no_more_memory_than_it_says(checkpoints: Path, name: str, wish: Wish) -> None:
    model = load_catalog(checkpoints, "positional").get(name)
    model.compile(Wish(novel=True))  # what belongs to the model is there
    generator = np.random.default_rng(1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sampler = model.compile(wish)
        for count in [10] * 1_000 + [10_000] * 3:
            sampler.draw(count, generator)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < 1.1 * sampler.size + 100_000
