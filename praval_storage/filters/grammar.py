"""The grammar: mappings to filter trees, every mistake reported before any I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from praval_storage.display import did_you_mean
from praval_storage.errors import InvalidFilterError
from praval_storage.filters.nodes import EVERYTHING, And, Compare, Node, Not, Or, conjunction
from praval_storage.filters.operands import COMPARISONS, check_depth, prepare, shown
from praval_storage.filters.paths import TREE_ROOTS, Path

LOGICAL = ("$and", "$or", "$not")
OPERATORS = COMPARISONS + LOGICAL

Filters = Mapping[str, Any]


def parse(filters: Filters | Node | None) -> Node:
    """The tree for a filter; ``None`` and ``{}`` are ``EVERYTHING``, a tree is itself.

    Raises:
        InvalidFilterError: Names the path and the operator, and says what would be right.
    """
    return EVERYTHING if filters is None else _filter(filters, 0)


def _filter(filters: object, depth: int) -> Node:
    if isinstance(filters, Node):
        return filters
    check_depth(depth)
    if not isinstance(filters, Mapping):
        raise InvalidFilterError(
            f"A filter must be a mapping, not {type(filters).__name__}: {shown(filters)}",
            hint="Write it as {'path': value} or {'path': {'$gt': value}}",
        )
    return conjunction([node for name, value in filters.items() for node in _entry(name, value, depth)])


def _entry(name: object, value: object, depth: int) -> list[Node]:
    if isinstance(name, str) and name.startswith("$"):
        return [_logical(name, value, depth)]
    return _conditions(Path.parse(name), value, depth)


def _logical(name: str, value: object, depth: int) -> Node:
    if name == "$not":
        return Not(_filter(value, depth + 1))
    if name not in LOGICAL:
        raise _misplaced(name, value)
    if isinstance(value, (str, Mapping, Node)) or not isinstance(value, Iterable):
        raise InvalidFilterError(f"{name!r} takes a list of filters, not {type(value).__name__}")
    children = tuple(_filter(child, depth + 1) for child in value)
    if not children:
        raise InvalidFilterError(f"{name!r} takes at least one filter; the list is empty")
    return And(children) if name == "$and" else Or(children)


def _misplaced(name: str, value: object) -> InvalidFilterError:
    if name in COMPARISONS:
        return InvalidFilterError(
            f"{name!r} compares a field and cannot stand where a path belongs",
            hint=f"Put it under one: {{'path': {{{name!r}: {shown(value)}}}}}",
        )
    return _unknown(name, "where a path belongs")


def _unknown(name: str, where: str) -> InvalidFilterError:
    hint = did_you_mean(name, OPERATORS, f"The operators are {' '.join(OPERATORS)}")
    return InvalidFilterError(f"Unknown operator {name!r} {where}", hint=hint)


# Conditions under one path


def _conditions(path: Path, value: object, depth: int) -> list[Node]:
    check_depth(depth)
    if isinstance(value, Node):
        raise InvalidFilterError(f"At path '{path}': a whole filter cannot be the value of a path")
    if isinstance(value, re.Pattern):
        return [_condition(path, "$regex", value, depth)]
    if not isinstance(value, Mapping) or not _has_operators(path, value):
        return [_condition(path, "$eq", value, depth)]
    return [_condition(path, name, operand, depth) for name, operand in value.items()]


def _condition(path: Path, name: str, operand: Any, depth: int) -> Node:
    match name:
        case "$not":
            return Not(_negated(path, operand, depth + 1))
        case "$and" | "$or":
            raise InvalidFilterError(
                f"At path '{path}': {name!r} takes whole filters",
                hint=f"Write it as {{{name!r}: [{{'{path}': ...}}, ...]}}",
            )
        case _ if name in COMPARISONS:
            return _comparison(path, name, operand)
        case _:
            raise _unknown(name, f"at path '{path}'")


_NEGATIONS = {"$ne": "eq", "$nin": "in"}


def _comparison(path: Path, name: str, operand: Any) -> Node:
    op = _NEGATIONS.get(name, name.removeprefix("$"))
    node = Compare(path, op, prepare(path, name, operand))
    return Not(node) if name in _NEGATIONS else node


def _negated(path: Path, operand: Any, depth: int) -> Node:
    is_conditions = isinstance(operand, Mapping) and operand and _has_operators(path, operand)
    if not is_conditions and not isinstance(operand, re.Pattern):
        raise InvalidFilterError(
            f"At path '{path}': '$not' takes operators, such as {{'$gt': 3}}, not {shown(operand)}",
            hint="For a plain value use '$ne'",
        )
    return conjunction(_conditions(path, operand, depth))


def _has_operators(path: Path, value: Mapping[Any, Any]) -> bool:
    """Whether a mapping holds operators; otherwise it is a sub-document to be equal to."""
    names = [name for name in value if isinstance(name, str) and name.startswith("$")]
    if names and len(names) < len(value):
        plain = next(name for name in value if name not in names)
        raise InvalidFilterError(
            f"At path '{path}': the operator {names[0]!r} and the field {plain!r} stand side by side",
            hint="Use {'$eq': {...}} to compare with a sub-document, or a longer path for its field",
        )
    if not names:
        _refuse_forgotten_sign(path, value)
        _refuse_nested_operator(str(path), value, 0)
    return bool(names)


def _refuse_forgotten_sign(path: Path, value: Mapping[Any, Any]) -> None:
    if not value or any(f"${name}" not in OPERATORS for name in value):
        return
    fields = " and ".join(f"'{path}.{name}'" for name in value)
    literally = f" To mean it literally, write {fields}, or {{'$eq': {{...}}}}"
    raise InvalidFilterError(
        f"At path '{path}': {shown(dict(value))} names operators without their '$'",
        hint=f"Did you mean {shown({f'${name}': operand for name, operand in value.items()})}?"
        + (literally if path.root in TREE_ROOTS else ""),
    )


def _refuse_nested_operator(where: str, document: Mapping[Any, Any], depth: int) -> None:
    check_depth(depth)
    for name, inner in document.items():
        if not isinstance(inner, Mapping):
            continue
        if any(operator in inner for operator in OPERATORS):
            raise InvalidFilterError(
                f"At path '{where}': an operator inside of a sub-document",
                hint=f"Write '{where}.{name}': {shown(inner)}, or {{'$eq': {{...}}}} to mean it literally",
            )
        _refuse_nested_operator(f"{where}.{name}", inner, depth + 1)
