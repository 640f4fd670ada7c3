"""Filters to native conditions: what a backend can say itself is pushed down, the rest stays.

A provider subclasses :class:`Compiler` for its own condition type (an SQL fragment, a Qdrant filter)
and says, for one comparison at a time, whether it can be said exactly, at least as a superset, or not
at all. The rest is here once: pushed condition first, residual on what comes back, and the answer is
the one ``node.matches`` gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from praval_storage.filters import And, Compare, Node, Not, Or, conjunction

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Native(Generic[T]):
    """A comparison in the backend's own words.

    Attributes:
        condition: Selects the records that match the comparison.
        exact: False when it selects others as well; it must never miss one that matches.
    """

    condition: T
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Pushdown(Generic[T]):
    """A filter in two parts; a record matches when the condition selects it and the residual does too.

    Attributes:
        condition: For the backend; ``None`` selects every record.
        pushed: The conjuncts the condition stands for, exactly or in part: for the plan.
        residual: What ``matches`` must still decide on each selected record; ``EVERYTHING`` when the
            condition is exact.
    """

    condition: T | None
    pushed: Node
    residual: Node


class Compiler(ABC, Generic[T]):
    """Compiles filters to conditions of type ``T``, which are never ``None``.

    Conditions must be two-valued: where the backend knows a third truth value (SQL's NULL), a
    condition that :meth:`negate` gets must be false, not unknown, for a missing field.
    """

    @abstractmethod
    def compare(self, node: Compare) -> Native[T] | None:
        """The comparison natively; ``None`` when the backend cannot say it."""

    @abstractmethod
    def all_of(self, conditions: Sequence[T]) -> T:
        """The conjunction of two or more conditions."""

    @abstractmethod
    def any_of(self, conditions: Sequence[T]) -> T:
        """The disjunction of two or more conditions."""

    @abstractmethod
    def negate(self, condition: T) -> T:
        """The exact complement of a condition."""

    def compile(self, node: Node) -> Pushdown[T]:
        """Push as many conjuncts as can be said at least as a superset, and keep the inexact ones."""
        conditions: list[T] = []
        pushed: list[Node] = []
        residual: list[Node] = []
        for conjunct in _conjuncts(node):
            bound = self._bound(conjunct, _Constant.EVERYTHING)
            if isinstance(bound.condition, _Constant):
                if not (bound.exact and bound.condition is _Constant.EVERYTHING):
                    residual.append(conjunct)
                continue
            conditions.append(bound.condition)
            pushed.append(conjunct)
            if not bound.exact:
                residual.append(conjunct)
        condition = _joined(conditions, self.all_of) if conditions else None
        return Pushdown(condition, conjunction(pushed), conjunction(residual))

    def _bound(self, node: Node, unknown: _Constant) -> _Bound[T]:
        """The nearest condition above (``unknown`` is EVERYTHING) or below (NOTHING) the node."""
        match node:
            case Compare():
                return self._leaf(node, unknown)
            case Not():
                return self._complement(self._bound(node.child, unknown.opposite))
            case And():
                bounds = [self._bound(child, unknown) for child in node.children]
                return _combined(bounds, _Constant.EVERYTHING, self.all_of)
            case Or():
                bounds = [self._bound(child, unknown) for child in node.children]
                return _combined(bounds, _Constant.NOTHING, self.any_of)
            case _:
                raise TypeError(f"{type(node).__name__} is no filter node")

    def _leaf(self, node: Compare, unknown: _Constant) -> _Bound[T]:
        native = self.compare(node)
        # A superset is no lower bound: its complement would lose matches.
        if native is None or (not native.exact and unknown is _Constant.NOTHING):
            return _Bound(unknown, exact=False)
        return _Bound(native.condition, native.exact)

    def _complement(self, bound: _Bound[T]) -> _Bound[T]:
        if isinstance(bound.condition, _Constant):
            return _Bound(bound.condition.opposite, bound.exact)
        return _Bound(self.negate(bound.condition), bound.exact)


class _Constant(Enum):
    NOTHING = 0
    EVERYTHING = 1

    @property
    def opposite(self) -> _Constant:
        return _Constant(1 - self.value)


@dataclass(frozen=True, slots=True)
class _Bound(Generic[T]):
    condition: T | _Constant
    exact: bool


def _combined(bounds: Sequence[_Bound[T]], neutral: _Constant, join: Callable[[Sequence[T]], T]) -> _Bound[T]:
    absorbing = [bound for bound in bounds if bound.condition is neutral.opposite]
    if absorbing:
        return _Bound(neutral.opposite, any(bound.exact for bound in absorbing))
    conditions = [bound.condition for bound in bounds if not isinstance(bound.condition, _Constant)]
    exact = all(bound.exact for bound in bounds)
    return _Bound(_joined(conditions, join) if conditions else neutral, exact)


def _joined(conditions: Sequence[T], join: Callable[[Sequence[T]], T]) -> T:
    return conditions[0] if len(conditions) == 1 else join(conditions)


def _conjuncts(node: Node) -> list[Node]:
    """The node as an and-ed list, as long as it goes: negations move inwards (De Morgan)."""
    match node:
        case And():
            return [part for child in node.children for part in _conjuncts(child)]
        case Not(child=Not(child=inner)):
            return _conjuncts(inner)
        case Not(child=Or(children=children)):
            return [part for child in children for part in _conjuncts(Not(child))]
        case _:
            return [node]


# Deciding early from what is at hand


class _Known(Compiler[Node]):
    """Compiles a filter to the part of it that looks at some roots only."""

    def __init__(self, roots: Collection[str]) -> None:
        self._roots = frozenset(roots)

    def compare(self, node: Compare) -> Native[Node] | None:
        return Native(node) if node.path.root in self._roots else None

    def all_of(self, conditions: Sequence[Node]) -> Node:
        return And(tuple(conditions))

    def any_of(self, conditions: Sequence[Node]) -> Node:
        return Or(tuple(conditions))

    def negate(self, condition: Node) -> Node:
        return Not(condition)


def restrict(node: Node, roots: Collection[str]) -> Pushdown[Node]:
    """Split a filter into what these roots decide and the rest, for records whose parts come separately.

    ``condition`` (``None``: no help) looks at nothing but ``roots``, so that a listing entry can be
    refused before its body is read; ``residual`` is for the whole record.
    """
    return _Known(roots).compile(node)
