"""DataFrame, Series and Arrow tables as whole values.

Everything goes through an Arrow table. What that alone does not bring back of a pandas frame (columns of
Python objects, odd labels, units, ``freq``, ``attrs``) is a note in the table's schema; what the note
cannot bring back either is refused when it is stored, by the name of the column.
"""

from __future__ import annotations

import io
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa

from praval_storage.serialization import _notes
from praval_storage.serialization._tables import SEPARATORS, read_table, write_table

_NOTE = b"praval_storage"
"""Key of the note in the metadata of the Arrow schema, so that a Parquet file says it all."""
_PANDAS_ATTRS = b"PANDAS_ATTRS"
"""Key under which ``DataFrame.to_parquet`` keeps ``attrs``."""

FORMATS = ("parquet", "csv", "tsv", "ndjson")


def default_format(value: Any) -> str | None:
    """``parquet`` for a frame, series or table; ``None`` for anything else of these libraries."""
    return "parquet" if isinstance(value, (pd.DataFrame, pd.Series, pa.Table)) else None


def encode(value: Any, format: str) -> tuple[bytes, dict[str, Any] | None]:
    """Body and side map of a frame, series or Arrow table."""
    if isinstance(value, pa.Table):
        body, known = write_table(value, format)
        return body, {"": ["arrow", known]}
    body, known = write_table(_table(value, format), format, keep_schema=format != "parquet")
    return body, {"": ["frame", known]} if known else None


def decode(body: bytes, format: str, types: dict[str, Any] | None) -> Any:
    """The value :func:`encode` was given; a DataFrame when somebody else wrote the body."""
    if types is None and format != "parquet":
        return pd.read_csv(io.BytesIO(body), sep=SEPARATORS[format])
    kind, known = ("frame", {}) if types is None else types[""]
    table = read_table(body, format, known)
    return table if kind == "arrow" else _frame(table)


def _table(value: pd.DataFrame | pd.Series, format: str) -> Any:
    """The Arrow table of a frame or series, its note in the schema."""
    frame = value.to_frame("value") if isinstance(value, pd.Series) else value.copy(deep=False)
    frame.attrs = {}
    note = _notes.note(frame, format)
    table = _notes.table(frame, note)
    _notes.verify(frame, table, note, format)
    if value.attrs:
        note["attrs"] = _notes.typed(value.attrs)
    if isinstance(value, pd.Series):
        note["series"] = _notes.typed(value.name)
    if not note:
        return table
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _NOTE: orjson.dumps(note)})


def _frame(table: Any) -> Any:
    """The frame or series of a table; of one that pandas itself wrote, too."""
    metadata = table.schema.metadata or {}
    note = orjson.loads(metadata.get(_NOTE, b"{}"))
    frame = _notes.restored(table, note)
    if _PANDAS_ATTRS in metadata:
        frame.attrs = orjson.loads(metadata[_PANDAS_ATTRS])
    return _series(frame, note["series"]) if "series" in note else frame


def _series(frame: pd.DataFrame, name: Any) -> Any:
    series = frame.iloc[:, 0]
    series.name = _notes.untyped(name)
    series.attrs = frame.attrs
    return series
