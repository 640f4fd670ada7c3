"""Metadata fields that SQLite may read differently than we do: known by name, and checked one by one.

Their names are in a row's column ``opaque``. A query that looks at such a field selects the row whatever its
condition says, and whoever asked checks the record itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import orjson

from praval_storage.filters import Node, paths
from praval_storage.providers.filesystem.rows import Sql
from praval_storage.serialization import TYPES_KEY

UNSPEAKABLE = re.compile(r'[\x00-\x1f"\\\ud800-\udfff]')
"""What a name in a query must not have: SQLite before 3.45 compares names with their JSON escapes."""

_ALL = "*"
# Typed values, escapes beyond the short ones, and what may be an integer beyond 63 bits.
_OPAQUE = re.compile(rb'"\$types"|\\u|[0-9]{19}')


def opaque_fields(metadata: bytes) -> str:
    """The quoted names of the fields of a metadata text that SQLite may read differently than we do."""
    if _OPAQUE.search(metadata) is None:
        return ""
    fields = orjson.loads(metadata)
    pointers = fields.pop(TYPES_KEY, {})
    if "" in pointers:
        return _ALL
    typed = {pointer.split("/")[1].replace("~1", "/").replace("~0", "~") for pointer in pointers}
    odd = {name for name, value in fields.items() if _OPAQUE.search(orjson.dumps(value))}
    names = typed | odd
    return _ALL if any(map(UNSPEAKABLE.search, names)) else "".join(map(quoted, sorted(names)))


def looked_at(node: Node) -> tuple[str, ...]:
    """The metadata fields a filter looks at, as they stand in ``opaque``."""
    names = {path.parts[0] for path in paths(node) if path.root == "metadata" and path.parts}
    return tuple(quoted(name) for name in names if not UNSPEAKABLE.search(name))


def doubts(opaque: str, fields: Iterable[str]) -> bool:
    """Whether a row was selected without its fields having been looked at."""
    return opaque != "" and (opaque == _ALL or any(field in opaque for field in fields))


def with_doubts(condition: Sql, fields: Sequence[str]) -> Sql:
    """The condition, or one of these fields is opaque."""
    if not fields:
        return condition
    opaque = Sql(
        "opaque <> '' AND (opaque = '*'" + " OR instr(opaque, ?) > 0" * len(fields) + ")", tuple(fields)
    )
    texts = ("(", condition.text, ") OR (", opaque.text, ")")
    return Sql(" ".join(texts), condition.parameters + opaque.parameters)


def quoted(name: str) -> str:
    """A field name as it stands in ``opaque`` and in JSON paths."""
    return f'"{name}"'
