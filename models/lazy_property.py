"""Cached properties: attributes that are computed on first access."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 -- a decorator
    """`functools.cached_property` without its lock.

    Before Python 3.12, all instances of a class share one lock: a thread that reads a small model
    would wait for a thread that computes the same attribute of a large model. Without the lock,
    threads that access an attribute for the first time together each compute it, and all of them
    get the first value that is stored.

    >>> class Circle:
    ...     radius = 2.0
    ...     @lazy
    ...     def diameter(self) -> float:
    ...         return 2 * self.radius
    >>> circle = Circle()
    >>> circle.diameter, vars(circle)
    (4.0, {'diameter': 4.0})
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
        # From now on, the entry in the dictionary of the instance hides this descriptor.
        value: T = vars(instance).setdefault(self._name, self._compute(instance))
        return value
