"""What each operator takes, and at which path: operands checked, copied and brought to builtin types."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime, time
from typing import Any

from praval_storage.errors import InvalidFilterError
from praval_storage.filters.paths import TREE_ROOTS, Path
from praval_storage.filters.values import RANGED, Kind, classify, utc

MAX_DEPTH = 64
"""How deep filters and operands may nest."""


def prepare(path: Path, name: str, operand: Any) -> Any:
    """The operand of the operator ``name`` as a ``Compare`` holds it: builtin types, times in UTC, a copy.

    Raises:
        InvalidFilterError: The operator does not take such an operand, or not at this path.
    """
    if name in {"$contains", "$prefix", "$regex"} and path.root in _ROOT_TYPES:
        raise InvalidFilterError(f"At path '{path}': {name!r} does not apply to a {_ROOT_TYPES[path.root]}")
    return _OPERANDS[name](path, name, operand)


def _literal(path: Path, name: str, operand: Any) -> Any:
    value = _settled(path, operand, 0)
    if path.root in TREE_ROOTS or (value is None and name in _EQUALITIES):
        return value
    return _ROOT_LITERALS[path.root](path, name, value)


def _literals(path: Path, name: str, operand: Any) -> tuple[Any, ...]:
    is_list = isinstance(operand, Iterable) and not isinstance(operand, (str, bytes, bytearray, Mapping))
    if not is_list or getattr(operand, "ndim", 1) != 1:
        raise _wrong(path, name, "a list, tuple or set", operand)
    return tuple(_literal(path, name, item) for item in operand)


def _bound(path: Path, name: str, operand: Any) -> Any:
    value = _literal(path, name, operand)
    if classify(value)[0] not in RANGED:
        raise _wrong(path, name, "a number, string, datetime or date", operand)
    return value


def _flag(path: Path, name: str, operand: Any) -> bool:
    kind, plain = classify(operand)
    if kind is not Kind.BOOL:
        raise _wrong(path, name, "True or False", operand)
    return bool(plain)


def _text(path: Path, name: str, operand: Any) -> str:
    kind, plain = classify(operand)
    if kind is not Kind.TEXT:
        raise _wrong(path, name, "a str", operand)
    return str(plain)


def _pattern(path: Path, name: str, operand: Any) -> re.Pattern[str]:
    try:
        pattern = re.compile(operand)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidFilterError(f"At path '{path}': '$regex' {operand!r} is invalid: {error}") from error
    except TypeError:
        pattern = None
    if pattern is None or not isinstance(pattern.pattern, str):
        raise _wrong(path, name, "a str or a compiled str pattern", operand)
    return pattern


def _number(path: Path, name: str, operand: Any) -> Any:
    if classify(operand)[0] not in {Kind.NUMBER, Kind.NAN}:
        raise _wrong(path, name, "a number", operand)
    return operand


def instant(operand: Any) -> datetime | None:
    """The moment an operand names, aware UTC: a naive time is taken as UTC; ``None`` = it names none."""
    found = moment(operand)
    if found is not None and found.utcoffset() is None:
        return found.replace(tzinfo=UTC)
    return None if found is None else utc(found)


def moment(operand: Any) -> datetime | None:
    """The datetime an operand names, aware or naive: a text by ISO 8601, a date its first moment."""
    kind, value = classify(_from_iso(operand) if isinstance(operand, str) else operand)
    if kind is Kind.DATE:
        return datetime.combine(value, time())
    return value if kind in {Kind.AWARE, Kind.NAIVE} else None


def _instant(path: Path, name: str, operand: Any) -> datetime:
    if (found := instant(operand)) is None:
        raise _wrong(path, name, "a datetime, a date or an ISO 8601 string", operand)
    return found


def _from_iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


_EQUALITIES = frozenset({"$eq", "$ne", "$in", "$nin"})

_ROOT_TYPES = {"created_at": "time", "updated_at": "time", "size": "number"}

_ROOT_LITERALS: dict[str, Callable[[Path, str, Any], Any]] = {
    "key": _text,
    "format": _text,
    "size": _number,
    "created_at": _instant,
    "updated_at": _instant,
}

_OPERANDS: dict[str, Callable[[Path, str, Any], Any]] = {
    "$eq": _literal,
    "$ne": _literal,
    "$gt": _bound,
    "$gte": _bound,
    "$lt": _bound,
    "$lte": _bound,
    "$in": _literals,
    "$nin": _literals,
    "$exists": _flag,
    "$contains": _literal,
    "$prefix": _text,
    "$regex": _pattern,
}
COMPARISONS = tuple(_OPERANDS)


def _settled(path: Path, operand: Any, depth: int) -> Any:
    """A private copy of an operand in builtin types: later changes to the caller's lists do not matter."""
    check_depth(depth)
    kind, plain = classify(operand)
    match kind:
        case Kind.NAN:
            return math.nan
        case Kind.LIST if isinstance(plain, list):
            return [_settled(path, item, depth + 1) for item in plain]
        case Kind.LIST:
            return tuple(_settled(path, item, depth + 1) for item in plain)
        case Kind.SET:
            return frozenset(_settled(path, item, depth + 1) for item in plain)
        case Kind.MAPPING:
            return {name: _settled(path, item, depth + 1) for name, item in plain.items()}
        case Kind.NAT:
            return operand
        case Kind.OTHER:
            return _comparable(path, plain)
        case _:
            return plain


def _comparable(path: Path, operand: Any) -> Any:
    if isinstance(operand, re.Pattern):
        raise InvalidFilterError(f"At path '{path}': a compiled pattern goes under '$regex'")
    if isinstance(operand, Hashable):
        return operand
    raise InvalidFilterError(
        f"At path '{path}': a {type(operand).__name__} cannot be compared with",
        hint="Use its .tolist() for a list" if hasattr(operand, "tolist") else None,
    )


def check_depth(depth: int) -> None:
    """Refuse what nests too deep to be walked."""
    if depth > MAX_DEPTH:
        raise InvalidFilterError(f"The filter nests deeper than {MAX_DEPTH} levels")


def _wrong(path: Path, name: str, expected: str, operand: object) -> InvalidFilterError:
    kind = type(operand).__name__
    return InvalidFilterError(f"At path '{path}': {name!r} takes {expected}, not {shown(operand)} ({kind})")


def shown(value: object) -> str:
    """A value short enough for a message."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - Python refuses to print very long integers, and others what they like
        return "..."
    return text if len(text) <= 60 else f"{text[:57]}..."
