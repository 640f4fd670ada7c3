"""Frames of every kind, tables in text files and lists of objects as the first rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from itertools import islice
from typing import Any

from praval_storage.cells import Cell, cell
from praval_storage.display import printable, size_text
from praval_storage.errors import SerializationError
from praval_storage.preview.beginning import Beginning, Scope
from praval_storage.preview.grid import Column, Grid, type_name
from praval_storage.preview.seen import Seen
from praval_storage.serialization import Content, decode

WIDEST = 50
"""Columns that are looked at."""
ABSENT = Cell("", "absent", None)
"""A field that an object does not have."""


def needing(library: str) -> None:
    """Nothing if a library for frames can be imported.

    Raises:
        SerializationError: It is not installed.
    """
    try:
        import_module(library)
    except ImportError as error:
        raise SerializationError(
            f"Looking into it needs {error.name}", hint="Run: pip install 'praval_storage[frames]'"
        ) from error


def text_table(found: Beginning) -> Seen:
    """CSV, TSV and NDJSON, of a large file as much as its beginning holds."""
    if found.is_whole:
        value = decode(Content(found.stored.format, found.body, found.stored.types))
        return _of_text(value, found.scope, (), is_whole=True)
    # The side map describes the whole, and the last line is cut.
    lines = found.body[: found.body.rindex(b"\n") + 1]
    value = decode(Content(found.stored.format, lines))
    read = f"Read from the first {size_text(len(lines))} of {size_text(found.size)}, types and nulls as well"
    return _of_text(value, found.scope, [read], is_whole=False)


def _of_text(value: Any, scope: Scope, notes: Sequence[str], *, is_whole: bool) -> Seen:
    made = grid(value, scope) if not isinstance(value, list) else objects(value, scope)
    if not is_whole:
        made = Grid(made.columns, made.rows, None, made.width)
    return Seen("table", {}, notes, [made])


def grid(frame: Any, scope: Scope) -> Grid:
    """A frame, series or table of pandas, Polars or Arrow."""
    library = type(frame).__module__.partition(".")[0]
    if library == "pandas":
        return _pandas(frame, scope.rows)
    if library == "polars":
        return _polars(frame, scope.rows)
    columns = [
        Column(printable(field.name), type_name(field.type), column.null_count)
        for field, column in islice(zip(frame.schema, frame.columns, strict=True), WIDEST)
    ]
    return Grid(columns, arrow_rows(frame, scope.rows), frame.num_rows, frame.num_columns)


def objects(values: Sequence[Any], scope: Scope) -> Grid:
    """A list of objects; a value that is no object is in a column of its own."""
    rows = [value if isinstance(value, dict) else {"value": value} for value in values]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [
        Column(cell(name).text, _kinds(rows, name), sum(row.get(name, ABSENT) is None for row in rows))
        for name in names[:WIDEST]
    ]
    shown = [
        [cell(row[name]) if name in row else ABSENT for name in names[:WIDEST]] for row in rows[: scope.rows]
    ]
    return Grid(columns, shown, len(rows), len(names))


def is_table(value: Any) -> bool:
    """Whether a list holds several flat objects, all with the same fields."""
    if not isinstance(value, list) or len(value) < 2 or not all(type(item) is dict for item in value):
        return False
    names = value[0].keys()
    return bool(names) and all(item.keys() == names and _is_flat(item) for item in value)


def arrow_rows(table: Any, count: int) -> list[list[Cell]]:
    """The first rows of an Arrow table or batch."""
    columns = [_arrow_cells(column.slice(0, count)) for column in table.columns[:WIDEST]]
    return [list(row) for row in zip(*columns, strict=True)]


def _arrow_cells(column: Any) -> list[Cell]:
    arrow = import_module("pyarrow")
    try:
        if arrow.types.is_float32(column.type) or arrow.types.is_float16(column.type):
            return [cell(value.as_py() if value.as_py() is None else _single(value)) for value in column]
        return list(map(cell, column.to_pylist()))
    except (arrow.ArrowException, ValueError, OverflowError, LookupError):
        return list(map(cell, _spelled(arrow, column)))


def _spelled(arrow: Any, column: Any) -> list[Any]:
    """Moments beyond what Python's datetime holds as text, those in zones nobody knows as numbers."""
    try:
        texts: list[Any] = column.cast(arrow.string()).to_pylist()
    except (arrow.ArrowException, ValueError):
        texts = column.cast(arrow.int64()).to_pylist()
    return texts


def _single(value: Any) -> Any:
    return import_module("numpy").float32(value.as_py())


def _pandas(frame: Any, count: int) -> Grid:
    if frame.ndim == 1:
        frame = frame.to_frame()
    nulls = frame.iloc[:, :WIDEST].isna().sum().tolist()
    columns = [
        Column(cell(label).text, str(dtype), missing)
        for label, dtype, missing in zip(frame.columns, frame.dtypes, nulls, strict=False)
    ]
    cells = [_pandas_cells(frame.iloc[:count, place]) for place in range(min(frame.shape[1], WIDEST))]
    named = [] if _is_range(frame.index) else [Column(_index_name(frame.index), str(frame.index.dtype), None)]
    labels = [list(map(cell, frame.index[:count]))] if named else []
    rows = [list(row) for row in zip(*labels, *cells, strict=True)]
    return Grid([*named, *columns], rows, len(frame), frame.shape[1] + len(named))


def _pandas_cells(column: Any) -> list[Cell]:
    if str(column.dtype) in {"str", "category"} or column.dtype.kind == "f":
        # Here pandas has no other sign of a missing value than NaN, and counts it as that.
        return [cell(None if value != value else value) for value in column.array]
    return list(map(cell, column.array))


def _is_range(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex"


def _index_name(index: Any) -> str:
    names = [str(name) for name in index.names if name is not None]
    return f"{', '.join(names)} (index)" if names else "(index)"


def _polars(frame: Any, count: int) -> Grid:
    if not hasattr(frame, "columns"):
        frame = frame.to_frame()
    series = frame.get_columns()[:WIDEST]
    columns = [Column(printable(each.name), str(each.dtype), each.null_count()) for each in series]
    rows = zip(*(map(cell, each.head(count).to_list()) for each in series), strict=True)
    return Grid(columns, [list(row) for row in rows], frame.height, frame.width)


def _kinds(rows: Iterable[Mapping[str, Any]], name: str) -> str:
    """The types of a field, as Python calls them."""
    found = {type(row[name]).__name__ for row in rows if row.get(name) is not None}
    return " | ".join(sorted(found))


def _is_flat(item: Mapping[Any, Any]) -> bool:
    return not any(isinstance(value, (dict, list, tuple, set, frozenset)) for value in item.values())
