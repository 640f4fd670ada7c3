"""JSON and other Python values: trees, tables of flat objects, and records with vectors."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from praval_storage.display import size_text
from praval_storage.preview import arrays, images, tables
from praval_storage.preview.beginning import Beginning, Scope
from praval_storage.preview.parts import Part
from praval_storage.preview.seen import Seen
from praval_storage.preview.tree import tree
from praval_storage.serialization import Content, decode, decode_json

VECTOR = "vector"
"""The field that holds the vector of a record."""
SHORTEST = 8
"""A bare list of so many numbers is drawn as well."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:"]|[^\s\[\]{},:"]+', re.DOTALL)
_FRAMES = frozenset({"pandas", "polars", "pyarrow"})


def json(found: Beginning) -> Seen:
    """A JSON body, of a large one as much as its beginning holds."""
    if found.is_whole:
        return value(decode(Content("json", found.body, found.stored.types)), found.scope)
    # The side map describes the whole, so typed values are what JSON made of them.
    seen = value(decode_json(closed(found.body.decode(errors="ignore")).encode()), found.scope)
    return seen.noting(f"Read from the first {size_text(len(found.body))} of {size_text(found.size)}")


def value(data: Any, scope: Scope) -> Seen:
    """Any Python value."""
    library = type(data).__module__.partition(".")[0]
    if library in _FRAMES and hasattr(data, "shape"):
        return Seen("table", {}, (), [tables.grid(data, scope)])
    if library == "PIL":
        return images.image(data)
    if library == "numpy" and hasattr(data, "shape") and data.shape:
        return arrays.array(data)
    if isinstance(data, Mapping) and (fields := _vector_fields(data)):
        return _with_vector(data, fields)
    if tables.is_table(data):
        return Seen("json", {}, (), [tables.objects(data, scope)])
    drawn = [line for name, line, _ in _lines(VECTOR, data) if line is not None] if _is_long(data) else []
    return Seen("json", {}, (), [tree(data), *drawn])


def with_vector(seen: Seen, numbers: Any) -> Seen:
    """The same with the vector that the backend keeps apart, and a line for it where there is none yet."""
    if not is_vector(numbers):
        return seen
    if seen.kind == "vector":  # with all the lines there are
        return replace(seen, vector=numbers)
    [(_, line, words)] = _lines(VECTOR, numbers)
    parts = seen.parts if line is None else [*seen.parts, line]
    return replace(seen, facts={**seen.facts, **words}, parts=parts, vector=numbers)


def closed(text: str) -> str:
    """The beginning of a JSON text as a whole one: cut after its last complete entry, all brackets closed.

    Raises:
        ValueError: There is no complete entry, or it is no JSON.
    """
    stack: list[str] = []
    end, brackets = 0, ""
    for token in _TOKEN.finditer(text):
        match token.group():
            case "{" | "[" as bracket:
                stack.append("}" if bracket == "{" else "]")
            case "}" | "]":
                if not stack:
                    raise ValueError("it closes a bracket that it never opened")
                stack.pop()
            case '"':  # of a text that has no end
                break
            case ",":
                end, brackets = token.start(), "".join(reversed(stack))
    if not end:
        raise ValueError("its first entry is longer than what is read for a preview")
    return text[:end] + brackets


def _vector_fields(data: Mapping[str, Any]) -> list[str]:
    """The fields with vectors; beside a ``vector`` of the user's own they stand under ``_vector``."""
    return [name for name, field in data.items() if str(name).lstrip("_") == VECTOR and _vectors(field)]


def _with_vector(data: Mapping[str, Any], fields: Collection[str]) -> Seen:
    rest = {name: _undrawn(field) if name in fields else field for name, field in data.items()}
    rest = {name: field for name, field in rest.items() if name not in fields or field}
    lines = [line for name in fields for line in _lines(name, data[name])]
    facts = {
        f"{name} {word}".strip() if len(lines) > 1 else word: text
        for name, _, words in lines
        for word, text in words.items()
    }
    only = [data[name] for name in fields if not isinstance(data[name], Mapping)]
    parts: list[Part] = [*([tree(rest)] if rest else []), *(line for _, line, _ in lines if line is not None)]
    return Seen("vector", facts, (), parts, only[0] if only and len(lines) == 1 else None)


def _undrawn(vectors: Any) -> dict[str, Any]:
    """Those of several vectors that are no line: sparse ones, and lists of vectors."""
    if not isinstance(vectors, Mapping):
        return {}
    return {name: vector for name, vector in vectors.items() if not is_vector(vector)}


def _lines(field: str, vector: Any) -> list[tuple[str, Any, dict[str, str]]]:
    named = vector if isinstance(vector, Mapping) else {field: vector}
    return [
        (str(name), *arrays.line(str(name), numbers)) for name, numbers in named.items() if is_vector(numbers)
    ]


def _vectors(candidate: Any) -> bool:
    """Whether this is a vector, or several by their names."""
    if isinstance(candidate, Mapping):
        return any(map(is_vector, candidate.values()))
    return is_vector(candidate)


def is_vector(candidate: Any) -> bool:
    """Whether something is a list or array of numbers."""
    if type(candidate).__module__ == "numpy":
        return getattr(candidate, "ndim", 0) == 1 and candidate.size > 0 and candidate.dtype.kind in "fiu"
    if not isinstance(candidate, (list, tuple)) or not candidate:
        return False
    return set(map(type, candidate)) <= {int, float}


def _is_long(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and len(data) >= SHORTEST and is_vector(data)
