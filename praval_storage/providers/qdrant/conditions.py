"""Single comparisons as Qdrant conditions: what the engine says exactly, and what it says nearly.

Measured on the engine (0.9, 1.20), and proven by the property tests:

* ``match`` on strings and flags is exact, also for elements of a list (one level, as here);
* integers and floats only compare alike as a ``range``, in float64 and after a JSON parser that may be off
  by one unit in the last place: numbers are asked for a little wider, and decided here;
* "is empty" does not tell a missing field from ``[]``; records that hold an empty list are marked loose;
* a path steps into the objects of a list only where it says ``[]``: each way to read a path is a condition.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import product
from typing import Any

from praval_storage.filters import Compare
from praval_storage.filters.values import Kind, classify
from praval_storage.providers.qdrant.engine import Condition
from praval_storage.providers.qdrant.payload import foreign_id, time_text
from praval_storage.providers.qdrant.vectors import FIELD, may_be_vectors
from praval_storage.pushdown import Native

_MAX_PARTS = 3
_SLACK = 4
"""Units in the last place; the engine's parser was never seen more than two off."""

NEVER: Condition = {"must": [{"has_id": []}]}


@dataclass(frozen=True, slots=True)
class Test:
    """A condition per payload field, any of which will do, and the kind of index that serves them."""

    conditions: tuple[Condition, ...]
    names: tuple[str, ...] = ()
    kind: str = "keyword"
    exact: bool = True

    def inexactly(self) -> Test:
        return Test(self.conditions, self.names, self.kind, exact=False)

    def native(self, indexes: dict[str, str]) -> Native[Condition]:
        for name in self.names:
            indexes.setdefault(name, self.kind)
        return Native(any_of(self.conditions) if self.conditions else NEVER, self.exact)


# Attributes of the record


def on_text(node: Compare) -> Test | None:
    """A comparison with the key or the format."""
    names = (node.path.root,)
    match node.op, node.operand:
        case ("eq", str()) | ("prefix", _):
            return _texts(names, node.op, node.operand)
        case "contains", str():
            return _each(names, "substring", node.operand)
        case "in", tuple() as operands if operands and all(isinstance(item, str) for item in operands):
            return _each(names, "any", list(operands))
        case _:
            return None


def on_id(operand: Any) -> Test:
    """The point of another writer that has this key: its id is its key."""
    found = foreign_id(operand) if isinstance(operand, str) else None
    # Text for UUIDs: it is what the REST interface takes.
    ids = [] if found is None else [found if isinstance(found, int) else str(found)]
    return Test(({"has_id": ids},), exact=False)


def on_size(node: Compare) -> Test | None:
    """A comparison with the size; numbers come back from the engine a little off."""
    test = _numbers(("size",), node.op, node.operand)
    return None if test is None else test.inexactly()


def on_time(node: Compare) -> Test | None:
    """A comparison with ``created_at`` or ``updated_at``."""
    operands = node.operand if node.op == "in" else (node.operand,)
    if node.op not in _RANGES or not all(isinstance(item, datetime) for item in operands) or not operands:
        return None
    name = node.path.root
    conditions = tuple(
        {"key": name, "range": dict.fromkeys(_RANGES[node.op], time_text(item))} for item in operands
    )
    return Test(conditions, (name,), "datetime")


_RANGES: Mapping[str, tuple[str, ...]] = {
    "eq": ("gte", "lte"),
    "in": ("gte", "lte"),
    "gt": ("gt",),
    "gte": ("gte",),
    "lt": ("lt",),
    "lte": ("lte",),
}


# Below data and metadata


def on_tree(node: Compare, names: tuple[str, ...]) -> Test | None:
    """A comparison with a field below ``data`` or ``metadata``."""
    match node.op:
        case "eq":
            return _equal(names, node.operand)
        case "in":
            return _one_of(names, node.operand)
        case "exists":
            return _exists(names, node.operand)
        case "prefix":
            return _texts(names, "prefix", node.operand)
        case "contains":
            return _contains(names, node.operand)
        case "gt" | "gte" | "lt" | "lte":
            return _in_range(names, node.op, node.operand)
        case _:
            return None


def _equal(names: tuple[str, ...], operand: Any) -> Test | None:
    kind, plain = classify(operand)
    match kind:
        case Kind.NULL:
            return _is_null(names)
        case Kind.BOOL:
            return _each(names, "value", plain, kind="bool")
        case Kind.TEXT:
            return _texts(names, "eq", plain)
        case Kind.NUMBER:
            return _numbers(names, "eq", plain)
        case Kind.DATE | Kind.NAIVE | Kind.AWARE | Kind.NAN | Kind.NAT:
            return Test(())  # only typed values can be equal to it, and they are loose
        case _:
            return None


def _one_of(names: tuple[str, ...], operands: Iterable[Any]) -> Test | None:
    tests = [_equal(names, operand) for operand in operands]
    found = [test for test in tests if test is not None]
    if not tests or len(found) < len(tests):
        return None
    kinds = {test.kind for test in found if test.conditions}
    conditions = tuple(condition for test in found for condition in test.conditions)
    return Test(conditions, names, min(kinds, default="keyword"), all(test.exact for test in found))


def _in_range(names: tuple[str, ...], op: str, operand: Any) -> Test | None:
    kind, plain = classify(operand)
    if kind is Kind.NUMBER:
        return _numbers(names, op, plain)
    return Test(()) if isinstance(operand, date) else None


def _contains(names: tuple[str, ...], operand: Any) -> Test | None:
    if isinstance(operand, str):
        return _each(names, "substring", operand).inexactly()
    test = _equal(names, operand) if operand is not None else None
    return None if test is None else test.inexactly()


def _is_null(names: tuple[str, ...]) -> Test | None:
    if len(names) > 1:
        return None
    return Test(({"is_empty": {"key": names[0]}}, {"is_null": {"key": names[0]}}), names)


def _exists(names: tuple[str, ...], wanted: bool) -> Test | None:
    if len(names) > 1:
        return None
    [name] = names
    there = any_of([{"must_not": [{"is_empty": {"key": name}}]}, {"is_null": {"key": name}}])
    return Test((there if wanted else {"must_not": [there]},), names)


def _texts(names: tuple[str, ...], op: str, operand: str) -> Test:
    return _each(names, "value" if op == "eq" else "prefix", operand)


def _each(names: tuple[str, ...], how: str, operand: Any, kind: str = "keyword") -> Test:
    return Test(tuple(matching(name, how, operand) for name in names), names, kind)


def _numbers(names: tuple[str, ...], op: str, operand: Any) -> Test | None:
    bounds = _RANGES.get(op, ())
    try:
        number = float(operand)
    except (OverflowError, TypeError, ValueError):
        return None
    if not bounds or not math.isfinite(number):
        return None
    limits = {("gte" if bound[0] == "g" else "lte"): _aside(number, bound[0] == "l") for bound in bounds}
    if not all(map(math.isfinite, limits.values())):
        return None
    return Test(tuple({"key": name, "range": limits} for name in names), names, "float", exact=False)


def _aside(number: float, up: bool) -> float:
    for _ in range(_SLACK):
        number = math.nextafter(number, math.inf if up else -math.inf)
    return number


# Names of payload fields


def field_names(root: str, parts: tuple[str, ...]) -> tuple[str, ...] | None:
    """Every way the engine may have to read a path; ``None`` for one it cannot."""
    if not 0 < len(parts) <= _MAX_PARTS or any('"' in part for part in parts):
        return None
    if (parts[0] == FIELD and root == "data") or (not root and may_be_vectors(parts[0])):
        return None
    first = _quoted(parts[0])
    head = f"{root}.{first}" if root else first
    return tuple("".join((head, *steps)) for steps in product(*map(_steps, parts[1:])))


def _steps(part: str) -> tuple[str, ...]:
    steps = (f".{_quoted(part)}", f"[].{_quoted(part)}")
    return (*steps, f"[{part}]") if part.isascii() and part.isdecimal() and str(int(part)) == part else steps


def _quoted(part: str) -> str:
    plain = part.isascii() and part.replace("_", "").replace("-", "").isalnum()
    return part if plain else f'"{part}"'


# Conditions


def matching(name: str, how: str, operand: Any) -> Condition:
    """A condition on one field of the payload."""
    return {"key": name, "match": {how: operand}}


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Every one of the conditions."""
    return conditions[0] if len(conditions) == 1 else {"must": list(conditions)}


def any_of(conditions: Sequence[Condition]) -> Condition:
    """At least one of the conditions."""
    return conditions[0] if len(conditions) == 1 else {"should": list(conditions)}
