"""What is known of a point besides its vector: scalars by their path, and a title."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from praval_storage.cells import cell
from praval_storage.display import printable
from praval_storage.filters.paths import ROOTS
from praval_storage.sampling import VectorRow

Fields = dict[str, Any]

MOST = 50
"""Fields of a point that are kept."""
_DEPTH = 3
_LETTERS = 200
_TITLES = ("title", "name", "label", "text")


def fields_of(row: VectorRow) -> Fields:
    """The scalars of a record by their filter path; long texts cut."""
    found: Fields = {}
    for path, value in [*_scalars(row.data, "", _DEPTH), *_scalars(row.metadata or {}, "metadata", _DEPTH)]:
        if len(found) < MOST:
            found[path or "data"] = value[:_LETTERS] if isinstance(value, str) else value
    return found


def title_of(fields: Fields) -> str:
    """A few words for a point beside its key: the best text it has, ``""`` without one."""
    texts = [fields.get(name) for name in _TITLES]
    found = next((text for text in texts if isinstance(text, str) and text.strip()), None)
    return "" if found is None else printable(found)


def _scalars(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and depth:
        for name, child in value.items():
            yield from _scalars(child, _below(path, str(name)), depth - 1)
    elif value is None or isinstance(value, (str, bool, int, float)):
        yield path, value


def _below(path: str, name: str) -> str:
    if not path:
        # A field of the data that is called like a part of the record.
        return f"data.{name}" if name in ROOTS else name
    return f"{path}.{name}"


def word_of(value: Any) -> str:
    """A value in a legend."""
    return cell(value).text
