"""Arrow tables as Parquet, CSV and NDJSON, and exactly back."""

from __future__ import annotations

import base64
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from praval_storage.errors import SerializationError
from praval_storage.serialization._json import decode_json, encode_json, from_lines, to_lines

SEPARATORS = {"csv": ",", "tsv": "\t"}


def write_table(table: Any, format: str, *, keep_schema: bool = True) -> tuple[bytes, dict[str, Any]]:
    """The table in a format, and what is to be known to read it back exactly.

    Without ``keep_schema`` Parquet's own idea of the schema is good enough.
    """
    if format == "parquet":
        return _parquet(table), _changed_schema(table) if keep_schema else {}
    body, types = _ndjson(table) if format == "ndjson" else (_csv(table, format), None)
    known = {"schema": _schema_text(table.schema), **({"types": types} if types else {})}
    if not _comes_back(table, body, format, known):
        raise SerializationError(f"The table cannot be held exactly as {format}", hint=_HINT)
    return body, known


def through(table: Any, format: str) -> Any:
    """The table as it comes back from a format without its schema; the text formats always have theirs."""
    return read_table(_parquet(table), format, {}) if format == "parquet" else table


def read_table(body: bytes, format: str, known: dict[str, Any]) -> Any:
    """The table :func:`write_table` wrote."""
    schema = _schema(known["schema"]) if "schema" in known else None
    if format == "parquet":
        table = pq.read_table(pa.BufferReader(body))
        return table.cast(schema) if schema is not None else table
    if schema is None:
        raise ValueError("the schema is missing")
    if format == "ndjson":
        rows = decode_json(from_lines(body), known.get("types"))
        return pa.Table.from_pylist(rows, schema)
    return _read_csv(body, format, schema)


_HINT = "Use a key that ends in .parquet"


def _parquet(table: Any) -> bytes:
    sink = pa.BufferOutputStream()
    # Dictionaries only cost time on floats. Nested types keep their own names of items.
    repeated = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    pq.write_table(table, sink, compression="zstd", use_dictionary=repeated, use_compliant_nested_type=False)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def _changed_schema(table: Any) -> dict[str, Any]:
    """The schema when Parquet does not keep it: it has no seconds, and dictionaries of strings only."""
    kept = through(table.schema.empty_table(), "parquet").schema
    return {} if kept.equals(table.schema, check_metadata=True) else {"schema": _schema_text(table.schema)}


def _schema_text(schema: Any) -> str:
    return base64.b64encode(schema.serialize()).decode()


def _schema(text: str) -> Any:
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text, validate=True)))


def _csv(table: Any, format: str) -> bytes:
    if table.num_columns == 0 or len(set(table.column_names)) < table.num_columns:
        raise SerializationError(f"{format} needs columns with different names", hint=_HINT)
    sink = pa.BufferOutputStream()
    try:
        pa_csv.write_csv(_decoded(table), sink, pa_csv.WriteOptions(delimiter=SEPARATORS[format]))
    except pa.ArrowException as exc:
        raise SerializationError(f"The table cannot be held as {format}: {exc}", hint=_HINT) from exc
    body: bytes = sink.getvalue().to_pybytes()
    return body


def _decoded(table: Any) -> Any:
    """The table with dictionary columns as their values."""
    return table.cast(pa.schema([pa.field(field.name, _value_type(field.type)) for field in table.schema]))


def _value_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _read_csv(body: bytes, format: str, schema: Any) -> Any:
    plain = {field.name: _value_type(field.type) for field in schema}
    table = pa_csv.read_csv(
        pa.BufferReader(body),
        parse_options=pa_csv.ParseOptions(
            delimiter=SEPARATORS[format], newlines_in_values=True, ignore_empty_lines=False
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=plain,
            null_values=[""],
            true_values=["true"],
            false_values=["false"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return table.cast(schema)


def _ndjson(table: Any) -> tuple[bytes, Any]:
    text, types = encode_json(table.to_pylist())
    return to_lines(text), types


def _comes_back(table: Any, body: bytes, format: str, known: dict[str, Any]) -> bool:
    try:
        back = read_table(body, format, known)
    except (pa.ArrowException, TypeError, ValueError):
        return False
    same: bool = back.schema.equals(table.schema, check_metadata=True) and back.equals(table)
    return same
