"""polars frames as whole values, through Arrow."""

from __future__ import annotations

from typing import Any

import polars as pl

from praval_storage.errors import SerializationError
from praval_storage.serialization._tables import read_table, write_table

FORMATS = ("parquet", "csv", "tsv", "ndjson")


def default_format(value: Any) -> str | None:
    """``parquet`` for a DataFrame; ``None`` for what else polars has."""
    return "parquet" if isinstance(value, pl.DataFrame) else None


def encode(value: Any, format: str) -> tuple[bytes, dict[str, Any]]:
    """Body and side map of a polars frame."""
    table = value.to_arrow()
    back: Any = pl.from_arrow(table.schema.empty_table())
    if back.schema != value.schema:
        changed = [name for name, kind in value.schema.items() if back.schema.get(name) != kind]
        raise SerializationError(f"The polars columns {changed} cannot be stored exactly", hint="Cast them")
    body, known = write_table(table, format)
    return body, {"": ["polars", known]}


def decode(body: bytes, format: str, types: dict[str, Any]) -> Any:
    """The frame :func:`encode` was given."""
    _, known = types[""]
    return pl.from_arrow(read_table(body, format, known))
