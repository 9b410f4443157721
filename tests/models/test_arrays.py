import importlib
import types
import typing
from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import torch

from models.arrays import Floats, array_dataclass
from tests.support.paths import ROOT


def dataclasses() -> Iterator[type[Any]]:
    """Yield all dataclasses of models and training."""
    for path in sorted([*ROOT.glob("models/**/*.py"), *ROOT.glob("training/**/*.py")]):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        module = importlib.import_module(name)
        for value in vars(module).values():
            if isinstance(value, type) and is_dataclass(value) and value.__module__ == name:
                yield value


def sample(hint: Any, *within: type) -> Any:  # noqa: ANN401
    """Return a value of a type: new arrays of two elements where it has arrays, else None."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is torch.Tensor:
        return torch.zeros(2)
    if np.ndarray in (hint, origin):
        return np.zeros(2)
    if isinstance(hint, type) and is_dataclass(hint):
        return None if hint in within else instance(hint, *within)
    parts = [sample(part, *within) for part in inner]
    known = [part for part in parts if part is not None]
    if not known or origin is None:
        return None
    if origin in (types.UnionType, typing.Union):
        return known[0]
    if origin is dict:
        return {"key": known[-1]}
    return parts if origin is tuple else known


def instance(cls: type[Any], *within: type) -> Any:  # noqa: ANN401
    """Return an instance whose fields are such values, without the checks of its class."""
    new, hints = object.__new__(cls), typing.get_type_hints(cls)
    for field in fields(cls):
        object.__setattr__(new, field.name, sample(hints[field.name], cls, *within))
    return new


def holds_arrays(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, np.ndarray | torch.Tensor):
        return True
    if isinstance(value, dict):
        return holds_arrays([*value.values()])
    if isinstance(value, Collection) and not isinstance(value, str):
        return any(map(holds_arrays, value))
    return is_dataclass(value) and any(
        holds_arrays(getattr(value, field.name)) for field in fields(value)
    )


CLASSES = [cls for cls in dataclasses() if holds_arrays(instance(cls))]


def test_the_search_finds_all_kinds_of_dataclasses_with_arrays() -> None:
    names = {cls.__name__ for cls in CLASSES}
    direct, in_lists, in_others, of_torch = "Contexts", "ConditionedChain", "CountedList", "_Block"
    assert {direct, in_lists, in_others, of_torch} <= names
    assert "Constraints" not in names
    assert "Vocabulary" not in names


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__qualname__)
def test_a_dataclass_with_arrays_compares_by_identity(cls: type[Any]) -> None:
    first, second = instance(cls), instance(cls)
    assert first == first
    assert first != second
    assert len({first, second}) == 2


def test_an_array_dataclass_takes_its_fields_and_is_frozen() -> None:
    @array_dataclass
    class Curve:
        values: Floats
        name: str = "a curve"

    curve = Curve(np.ones(2))
    assert curve.name == "a curve"
    with pytest.raises(AttributeError):
        curve.name = "another"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Curve()  # type: ignore[call-arg]
