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
    """All dataclasses of the models and the job."""
    for path in sorted([*ROOT.glob("models/*.py"), *ROOT.glob("training/*.py")]):
        module = importlib.import_module(f"{path.parent.name}.{path.stem}")
        for found in vars(module).values():
            if not (isinstance(found, type) and is_dataclass(found)):
                continue
            if found.__module__ == module.__name__:
                yield found


def value(hint: Any, *within: type) -> Any:  # noqa: ANN401
    """Something of a type: new arrays of two elements wherever it has an array, else None."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is torch.Tensor:
        return torch.zeros(2)
    if np.ndarray in (hint, origin):
        return np.zeros(2)
    if isinstance(hint, type) and is_dataclass(hint):
        return None if hint in within else instance(hint, *within)
    parts = [value(part, *within) for part in inner]
    known = [part for part in parts if part is not None]
    if not known or origin is None:
        return None
    if origin in (types.UnionType, typing.Union):
        return known[0]
    if origin is dict:
        return {"key": known[-1]}
    return parts if origin is tuple else known


def instance(cls: type[Any], *within: type) -> Any:  # noqa: ANN401
    """An instance whose fields are such values, without the checks of its class."""
    made, hints = object.__new__(cls), typing.get_type_hints(cls)
    for field in fields(cls):
        object.__setattr__(made, field.name, value(hints[field.name], cls, *within))
    return made


def holds_arrays(thing: Any) -> bool:  # noqa: ANN401
    if isinstance(thing, np.ndarray | torch.Tensor):
        return True
    if isinstance(thing, dict):
        return holds_arrays([*thing.values()])
    if isinstance(thing, Collection) and not isinstance(thing, str):
        return any(map(holds_arrays, thing))
    return is_dataclass(thing) and any(
        holds_arrays(getattr(thing, field.name)) for field in fields(thing)
    )


CLASSES = [cls for cls in dataclasses() if holds_arrays(instance(cls))]


def test_the_dataclasses_with_arrays_are_found() -> None:
    found = {cls.__name__ for cls in CLASSES}
    direct, in_lists, in_others, of_torch = "Contexts", "ConditionedChain", "Counted", "_Block"
    assert {direct, in_lists, in_others, of_torch} <= found
    assert "Constraints" not in found
    assert "Vocabulary" not in found


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__qualname__)
def test_an_object_with_arrays_is_equal_to_itself_alone(cls: type[Any]) -> None:
    one, other = instance(cls), instance(cls)
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_an_array_dataclass_is_made_from_its_fields_and_cannot_be_changed() -> None:
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
