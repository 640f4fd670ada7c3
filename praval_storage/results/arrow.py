"""Columns as Arrow arrays, and the Arrow and Polars tables made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa

from praval_storage.errors import SerializationError
from praval_storage.results.columns import Cells, Column, columns_of, is_column

if TYPE_CHECKING:
    import polars as pl

JSON = pa.json_(pa.string())
"""The canonical extension type ``arrow.json``: text that holds one JSON value per cell."""

MAX_FIELDS = 1_000
"""Objects with ids for keys have more, and an array for each would fill the memory."""

_REFUSALS = (pa.ArrowException, ArithmeticError, RecursionError, TypeError, ValueError)
_UTC = {UTC, ZoneInfo("UTC")}
"""As the standard library has it, and as drivers of databases do."""
_MICROSECONDS = pa.timestamp("us")
_JSON_SCALARS = frozenset({str, int, float, bool, type(None)})


def to_arrow(cells: Cells) -> pa.Table:
    """The records as an Arrow table.

    JSON values that vary in type from row to row become a column of type ``arrow.json``.

    Raises:
        SerializationError: A column holds values that no Arrow type holds, whole frames for example.
    """
    return pa.table({name: _arrow_column(name, column) for name, column in columns_of(cells).items()})


def to_polars(cells: Cells) -> pl.DataFrame:
    """The records as a Polars frame: :func:`to_arrow`, with ``arrow.json`` and UUIDs as text."""
    polars = import_module("polars")
    table = to_arrow(cells)
    frame: pl.DataFrame = polars.from_arrow(
        pa.table([_plain(column) for column in table.columns], table.column_names)
    )
    frame.columns = table.column_names  # Polars calls a column without a name "column_<n>"
    return frame


def scalars(values: list[Any]) -> pa.Array | None:
    """Scalars of one kind as an Arrow array that holds each of them exactly; ``None`` when there is none."""
    kinds = frozenset(map(type, values)) - {type(None)}
    if not kinds:
        return pa.nulls(len(values))
    build = _BUILDERS.get(kinds) or _library_builder(kinds)
    try:
        return build and build(values)
    except _REFUSALS:
        return None


def _arrow_column(name: str, column: Column) -> pa.ChunkedArray | pa.Array:
    if not isinstance(column, list):
        return column
    for make in (scalars, _others, _json):
        if (array := make(column)) is not None:
            return array
    kinds = sorted({type(value).__name__ for value in column if value is not None})
    raise SerializationError(
        f"Column {name!r} holds values that no Arrow type holds together: {', '.join(kinds)}",
        hint="Use to_pandas(), or iterate over the result",
    )


def _others(values: list[Any]) -> pa.Array | None:
    """Lists, objects and what else Arrow understands, if reading it back gives the same."""
    fields = set(chain.from_iterable(value for value in values if type(value) is dict))
    if len(fields) > MAX_FIELDS:
        return None
    try:
        array = pa.array(values)
        named = all(name and is_column(name) for name in _names(array.type))
        return array if named and _is_same(array.to_pylist(), values) else None
    except _REFUSALS:
        return None


def _is_same(cells: list[Any], values: list[Any]) -> bool:
    return _same_text(cells, values) or _same(cells, values)


def _names(kind: pa.DataType) -> Iterator[str]:
    """The names of all struct fields in a type."""
    for field in (kind.field(place) for place in range(kind.num_fields)):
        if pa.types.is_struct(kind):
            yield field.name
        yield from _names(field.type)


def _json(values: list[Any]) -> pa.Array | None:
    try:
        if not all(map(_is_json, values)):
            return None
        texts = [None if value is None else json.dumps(value, allow_nan=False) for value in values]
    except (ValueError, RecursionError):
        return None
    return pa.ExtensionArray.from_storage(JSON, pa.array(texts, pa.string()))


def _is_json(value: Any) -> bool:
    if type(value) is dict:
        return all(type(name) is str for name in value) and all(map(_is_json, value.values()))
    return all(map(_is_json, value)) if type(value) is list else type(value) in _JSON_SCALARS


def _same_text(cells: list[Any], values: list[Any]) -> bool:
    """Whether both are the same JSON, which tells ``1.0`` from ``True``: quick, and enough where it holds."""
    try:
        return orjson.dumps(cells) == orjson.dumps(values)
    except orjson.JSONEncodeError:
        return False


def _same(cell: Any, value: Any) -> bool:
    """Whether an Arrow cell is the value, apart from fields that are missing and therefore null."""
    if isinstance(cell, list):
        items = value.tolist() if hasattr(value, "tolist") else value
        return isinstance(items, list | tuple) and len(cell) == len(items) and all(map(_same, cell, items))
    if isinstance(cell, dict):
        return isinstance(value, dict) and all(
            _same(cell.get(name), value.get(name)) for name in {**cell, **value}
        )
    if isinstance(cell, float) and cell != cell:
        return bool(value != value)
    return isinstance(cell, bool) == isinstance(value, bool) and bool(cell == value)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type == JSON:
        return column.cast(pa.string())
    if column.type == pa.uuid():
        return pa.chunked_array([pa.array([cell and str(cell) for cell in column.to_pylist()], pa.string())])
    return column


def _typed(kind: pa.DataType) -> Callable[[list[Any]], pa.Array]:
    return lambda values: pa.array(values, kind)


def _integers(values: list[int | None]) -> pa.Array:
    try:
        return pa.array(values, pa.int64())
    except OverflowError:
        return pa.array(values, pa.uint64())


def _datetimes(values: list[datetime | None]) -> pa.Array | None:
    zones = {value.tzinfo for value in values if value is not None}
    if zones <= _UTC:
        return pa.array(values, pa.timestamp("us", "UTC"))
    if None in zones:
        return pa.array(values, _MICROSECONDS) if len(zones) == 1 else None
    # Several offsets of one region, or several regions: the moments are what they have in common.
    array = pa.array(values) if len(zones) == 1 else pa.array(values, pa.timestamp("us", "UTC"))
    # A local time that a clock change skips, or shows twice, can come back as another one.
    return array if array.to_pylist() == values else None


def _times_of_day(values: list[time | None]) -> pa.Array | None:
    aware = any(value is not None and value.tzinfo is not None for value in values)
    return None if aware else pa.array(values, pa.time64("us"))


def _decimals(values: list[Decimal | None]) -> pa.Array | None:
    array = pa.array(values)
    return array if pa.types.is_decimal128(array.type) and array.to_pylist() == values else None


def _library_builder(kinds: frozenset[type]) -> Callable[[list[Any]], pa.Array | None] | None:
    """How to build arrays of scalars of NumPy, all of one type, or of pandas."""
    if len(kinds) == 1 and all(kind.__module__ == "numpy" for kind in kinds):
        return _numpy_scalars
    if all(kind.__module__.split(".")[0] == "pandas" for kind in kinds):
        return _pandas_scalars
    return None


def _numpy_scalars(values: list[Any]) -> pa.Array | None:
    array = pa.array(values)
    return array if _same(array.to_pylist(), values) else None


def _pandas_scalars(values: list[Any]) -> pa.Array | None:
    series = import_module("pandas").Series(values)
    # Of several time zones, and of frames, pandas makes objects.
    return pa.array(series, from_pandas=True) if series.dtype.kind in "mM" else None


_BUILDERS: dict[frozenset[type], Callable[[list[Any]], pa.Array | None]] = {
    frozenset({bool}): _typed(pa.bool_()),
    frozenset({int}): _integers,
    frozenset({float}): _typed(pa.float64()),
    # Arrow refuses integers here that a double would round.
    frozenset({int, float}): _typed(pa.float64()),
    frozenset({str}): _typed(pa.string()),
    frozenset({bytes}): _typed(pa.binary()),
    frozenset({datetime}): _datetimes,
    frozenset({date}): _typed(pa.date32()),
    frozenset({time}): _times_of_day,
    frozenset({timedelta}): _typed(pa.duration("us")),
    frozenset({Decimal}): _decimals,
    frozenset({UUID}): _typed(pa.uuid()),
}
