"""Names of schemas and tables in one text: with a dot between them, quoted as in SQL where that is needed."""

from __future__ import annotations

import re

_PART = r'"(?:[^"]|"")+"|[^".]+'
_QUOTED = re.compile(rf"({_PART})(?:\.({_PART}))?", re.DOTALL)
_ODD = re.compile(r'[."]')


def dotted(*names: str) -> str:
    """``schema`` or ``schema.table``; a name with a dot or a quote in it is quoted: ``sales."a.b"``."""
    return ".".join(_quoted(name) if _ODD.search(name) else name for name in names)


def parts_of(path: str) -> list[str] | None:
    """The names that :func:`dotted` joined; ``None`` for what it never makes."""
    if not path:
        return []
    found = _QUOTED.fullmatch(path)
    return None if found is None else [_plain(part) for part in found.groups() if part is not None]


def collection_of(schema: str | None, table: str) -> str:
    """The name of a collection: a table with its schema, if that is not the provider's own."""
    names = (schema, table) if schema is not None else (table,)
    # A dot in a schema does no harm: the table is what comes after the last one.
    odd = _ODD.search(table) or any('"' in name for name in names)
    return dotted(*names) if odd else ".".join(names)


def schema_and_table(collection: str) -> tuple[str, str]:
    """The schema (``""`` = the provider's own) and the table of a collection."""
    parts = parts_of(collection) if '"' in collection else None
    if parts is not None:
        return (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])
    schema, _, table = collection.rpartition(".")
    return schema, table


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part
