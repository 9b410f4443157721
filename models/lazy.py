"""Attributes that are computed when they are first read."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 -- a decorator
    """`functools.cached_property` without its lock.

    Before Python 3.12 all instances of a class share one lock: a thread that reads a small
    model would wait for another that computes the same attribute of a large one. Here, if
    several threads read an attribute for the first time at once, each of them computes it.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "lazy[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> "T | lazy[T]":
        if instance is None:
            return self
        # An entry of the instance's own dictionary takes precedence over this descriptor.
        value: T = vars(instance).setdefault(self._name, self._compute(instance))
        return value
