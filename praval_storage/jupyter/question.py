"""What stands in the filter box: a filter of the grammar when it begins with a brace, else part of a name."""

from __future__ import annotations

import ast
import json
from typing import Any, NamedTuple

from praval_storage.errors import InvalidFilterError
from praval_storage.filters import EVERYTHING, Node, parse


class Question(NamedTuple):
    """A part of a name and a filter; either may be empty."""

    text: str = ""
    where: Node = EVERYTHING


def parse_question(text: str) -> Question:
    """Read the filter box: ``day-01``, ``{"size": {"$gt": 1000}}`` in JSON, or the same as Python writes it.

    Raises:
        InvalidFilterError: It begins with a brace and is no filter.
    """
    text = text.strip()
    return Question(where=parse(_mapping(text))) if text.startswith("{") else Question(text=text)


def _mapping(text: str) -> dict[str, Any]:
    value = _value(text)
    if not isinstance(value, dict):
        raise InvalidFilterError(f"A filter is a mapping, not {text!r}")
    return value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # then as Python writes it, with True, None and single quotes
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise InvalidFilterError(
            f"{text!r} is not a filter yet", hint='Write {"field": value} or {"field": {"$gt": 3}}'
        ) from error
