"""The filter tree. ``node.matches(record)`` is the specification every backend is held to."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from praval_storage.errors import InvalidFilterError
from praval_storage.filters.operators import TESTS, Test, matches_missing
from praval_storage.filters.paths import Matchable, Path
from praval_storage.filters.values import equal


class Node(ABC):
    """A parsed filter: ``And``, ``Or``, ``Not`` or ``Compare``. Frozen, hashable, picklable."""

    __slots__ = ()

    @abstractmethod
    def matches(self, record: Matchable) -> bool:
        """Whether the record is one the filter asks for; never raises."""

    def to_filters(self) -> dict[str, Any]:
        """The filter in the grammar again: ``parse(node.to_filters()) == node``."""
        return _spelled(self)

    def __repr__(self) -> str:
        return f"parse({self.to_filters()!r})"


@dataclass(frozen=True, slots=True, repr=False)
class And(Node):
    """Every child matches; without children, everything does."""

    children: tuple[Node, ...] = ()

    def matches(self, record: Matchable) -> bool:
        """Whether every child matches."""
        return all(child.matches(record) for child in self.children)


@dataclass(frozen=True, slots=True, repr=False)
class Or(Node):
    """At least one child matches; there is at least one child."""

    children: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.children:
            raise InvalidFilterError("An Or needs at least one child", hint="NOTHING matches nothing")

    def matches(self, record: Matchable) -> bool:
        """Whether one of the children matches."""
        return any(child.matches(record) for child in self.children)


@dataclass(frozen=True, slots=True, repr=False)
class Not(Node):
    """The child does not match: missing fields included."""

    child: Node

    def matches(self, record: Matchable) -> bool:
        """Whether the child does not match."""
        return not self.child.matches(record)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Compare(Node):
    """One operator on one path. Nodes are equal when the operands are equal to a filter.

    Attributes:
        path: Where to look.
        op: ``eq gt gte lt lte in exists contains prefix`` or ``regex``.
        operand: A Python value; a tuple for ``in``, a ``bool`` for ``exists``, an ``re.Pattern`` for
            ``regex``.
    """

    path: Path
    op: str
    operand: Any
    _test: Test = field(init=False)
    _missing: bool = field(init=False)

    def __post_init__(self) -> None:
        if self.op not in TESTS:
            raise InvalidFilterError(f"{self.op!r} is not the operator of a Compare")
        object.__setattr__(self, "_test", TESTS[self.op](self.operand))
        object.__setattr__(self, "_missing", matches_missing(self.op, self.operand))

    def matches(self, record: Matchable) -> bool:
        """Whether a value at the path does, or an element of one; see the operators' table in the package."""
        values = self.path.values(record)
        if not values:
            return self._missing
        return self._test(values[0]) if len(values) == 1 else any(map(self._test, values))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Compare):
            return NotImplemented
        return (self.path, self.op) == (other.path, other.op) and equal(self.operand, other.operand)

    def __hash__(self) -> int:
        return hash((self.path, self.op))


EVERYTHING: Node = And(())
NOTHING: Node = Not(EVERYTHING)


def conjunction(nodes: Sequence[Node]) -> Node:
    """The nodes and-ed: a single one is itself, none is ``EVERYTHING``."""
    return nodes[0] if len(nodes) == 1 else And(tuple(nodes))


def paths(node: Node) -> frozenset[Path]:
    """Every path the filter looks at: with no ``data`` among the roots, bodies need not be read."""
    match node:
        case Compare():
            return frozenset({node.path})
        case Not():
            return paths(node.child)
        case And() | Or():
            return frozenset[Path]().union(*map(paths, node.children))
        case _:
            raise _no_node(node)


def _no_node(node: Node) -> TypeError:
    return TypeError(f"{type(node).__name__} is no filter node")


# What a record that we did not write can match


@dataclass(frozen=True, slots=True)
class _Foreign:
    """A record with nothing but empty metadata."""

    key: str = ""
    data: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    size: int | None = None
    format: str | None = None


_FOREIGN = _Foreign()


def matches_foreign(node: Node) -> bool:
    """Whether a record with empty metadata might match, whatever its key, data and times are.

    False is a proof: a provider that keeps metadata elsewhere need not look at what has none.
    """
    return _foreign(node) is not False


def _foreign(node: Node) -> bool | None:
    """Kleene's three-valued answer for a record of which only the (empty) metadata is known."""
    match node:
        case Compare(path=path):
            if node.op == "in" and not node.operand:
                return False
            return node.matches(_FOREIGN) if path.root == "metadata" else None
        case Not():
            inner = _foreign(node.child)
            return None if inner is None else not inner
        case And():
            return _all(map(_foreign, node.children))
        case Or():
            none = _all(None if known is None else not known for known in map(_foreign, node.children))
            return None if none is None else not none
        case _:
            raise _no_node(node)


def _all(answers: Iterable[bool | None]) -> bool | None:
    known = set(answers)
    return False if False in known else (None if None in known else True)


# Back to the grammar

_NEGATED = {"eq": "$ne", "in": "$nin"}


def _spelled(node: Node) -> dict[str, Any]:
    match node:
        case And():
            merged = _merged(node.children)
            return {"$and": [child.to_filters() for child in node.children]} if merged is None else merged
        case Or():
            return {"$or": [child.to_filters() for child in node.children]}
        case Not(child=Compare() as inner) if inner.op in _NEGATED:
            return _shortened(_condition(inner, _NEGATED[inner.op]))
        case Not():
            return {"$not": node.child.to_filters()}
        case Compare():
            return _shortened(_condition(node, f"${node.op}"))
        case _:
            raise _no_node(node)


def _condition(node: Compare, name: str) -> dict[str, Any]:
    operand = node.operand
    if node.op == "in":
        operand = list(operand)
    elif isinstance(operand, re.Pattern) and operand.flags == re.UNICODE:
        operand = operand.pattern
    return {str(node.path): {name: operand}}


def _shortened(entries: dict[str, Any]) -> dict[str, Any]:
    """``{"a": {"$eq": 1}}`` as ``{"a": 1}``; a mapping as operand keeps its ``$eq``."""
    return {name: _short(name, condition) for name, condition in entries.items()}


def _short(name: str, condition: Any) -> Any:
    if name.startswith("$") or list(condition) != ["$eq"] or isinstance(condition["$eq"], Mapping):
        return condition
    return condition["$eq"]


def _merged(children: tuple[Node, ...]) -> dict[str, Any] | None:
    """All children as the entries of one filter that reads back in the same order, or None."""
    merged: dict[str, Any] = {}
    for child in children:
        entry = _entry(child)
        if entry is None or not _merge(merged, entry):
            return None
    return None if len(children) == 1 else _shortened(merged)


def _entry(node: Node) -> dict[str, Any] | None:
    """The node as a single entry with its operator spelled out; None for one that needs a filter."""
    match node:
        case And():
            return None
        case Compare():
            return _condition(node, f"${node.op}")
        case Not(child=Compare() as inner) if inner.op in _NEGATED:
            return _condition(inner, _NEGATED[inner.op])
        case _:
            return node.to_filters()


def _merge(merged: dict[str, Any], entry: dict[str, Any]) -> bool:
    [(name, condition)] = entry.items()
    if name not in merged:
        merged[name] = condition
        return True
    present = merged[name]
    is_last = next(reversed(merged)) == name
    if name.startswith("$") or not is_last or present.keys() & condition.keys():
        return False
    merged[name] = present | condition
    return True
