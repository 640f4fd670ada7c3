"""The note beside a pandas frame: what an Arrow table alone does not bring back, found by trying."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from praval_storage.errors import SerializationError
from praval_storage.serialization._json import decode_json, encode_json
from praval_storage.serialization._tables import through


def typed(value: Any) -> list[Any]:
    """A value as JSON inside a note: its text and its side map."""
    text, types = encode_json(value, root="attrs")
    return [text.decode(), types]


def untyped(stored: Any) -> Any:
    """The value :func:`typed` was given."""
    text, types = stored
    return decode_json(text.encode(), types)


def note(frame: pd.DataFrame, format: str) -> dict[str, Any]:
    """What is to be restored on top of the plain way; empty for most frames."""
    # Parquet keeps dictionaries of strings, the text formats none: the others are stored as their values.
    values = [at for at, kind in enumerate(frame.dtypes) if _spelled_out(kind, format)]
    made: dict[str, Any] = {"values": values} if values else {}
    if not all(name is None or type(name) is str for name in frame.index.names):
        made["names"] = typed(list(frame.index.names))
    if not _labels_survive(frame):
        made["columns"] = _labels(frame.columns)
    plain = _plain_way(frame, made, format)
    dtypes: dict[str, Any] = {
        str(at): _dtype(have, frame.columns[at])
        for at, (have, back) in enumerate(zip(frame.dtypes, plain.dtypes, strict=True))
        if have != back or _categories(have) != _categories(back)
    }
    for at in np.flatnonzero(frame.dtypes == np.dtype(object)).tolist():
        dtypes.pop(str(at), None)
        if (way := _object_way(frame, at)) is not None:
            dtypes[str(at)] = way
    if dtypes:
        made["dtypes"] = dtypes
    made.update(_index(frame.index, plain.index))
    return made


def _plain_way(frame: pd.DataFrame, made: dict[str, Any], format: str) -> pd.DataFrame:
    try:
        return restored(through(table(frame.iloc[:0], made), format), made)
    except (pa.ArrowException, TypeError, ValueError) as exc:
        reason = f"The labels or dtypes of the frame cannot be stored exactly: {exc}"
        raise SerializationError(reason, hint="Convert them, or use reset_index()") from exc


def table(frame: pd.DataFrame, made: dict[str, Any]) -> Any:
    """The Arrow table of a frame; pyarrow's reasons name the column."""
    try:
        if "columns" in made:
            frame = frame.set_axis(_unique(frame.columns), axis=1)
        if "names" in made:
            frame = frame.set_axis(frame.index.set_names(_index_names(frame.index)), axis=0)
        frame = _in_texts(frame, made.get("dtypes", {}))
        return _spell_out(_readable(pa.Table.from_pandas(frame), frame), made.get("values", []))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as exc:
        reason = f"The frame cannot be stored exactly: {'; '.join(map(str, exc.args))}"
        raise SerializationError(reason, hint="Convert the column to one type") from exc


def _in_texts(frame: pd.DataFrame, dtypes: dict[str, Any]) -> pd.DataFrame:
    """The frame with the text of each Decimal where Arrow would give all of a column one scale."""
    changed = [int(at) for at, way in dtypes.items() if way in _DECIMAL_WAYS]
    if changed:
        frame = frame.copy(deep=False)
    for at in changed:
        texts = [str(cell) if type(cell) is Decimal else None for cell in frame.iloc[:, at]]
        frame.isetitem(at, _objects(texts, frame.index))  # type: ignore[arg-type]  # as in restored()
    return frame


def _readable(stored: Any, frame: pd.DataFrame) -> Any:
    """The table with its pandas metadata naming only dtypes that pandas can parse.

    It cannot parse the names of nested Arrow types (``list<item: int64>[pyarrow]``); the note has them.
    """
    nested = [at for at, kind in enumerate(frame.dtypes) if _is_nested(kind)]
    if not nested:
        return stored
    metadata = json.loads(stored.schema.metadata[b"pandas"])
    for at in nested:
        metadata["columns"][at]["numpy_type"] = "object"
    return stored.replace_schema_metadata({**stored.schema.metadata, b"pandas": json.dumps(metadata)})


def _spelled_out(dtype: Any, format: str) -> bool:
    return isinstance(dtype, pd.CategoricalDtype) and not (
        format == "parquet" and pd.api.types.is_string_dtype(dtype.categories.dtype)
    )


def _spell_out(stored: Any, positions: list[int]) -> Any:
    for at in positions:
        name, column = stored.column_names[at], stored.column(at)
        if pa.types.is_dictionary(column.type):
            stored = stored.set_column(at, name, column.cast(column.type.value_type))
    return stored


def _is_nested(dtype: Any) -> bool:
    if not isinstance(dtype, pd.ArrowDtype):
        return False
    try:
        return bool(pd.api.types.pandas_dtype(str(dtype)) != dtype)
    except (TypeError, NotImplementedError):
        return True


def restored(stored: Any, made: dict[str, Any]) -> pd.DataFrame:
    """The frame of a table and its note."""
    frame: pd.DataFrame = stored.to_pandas()
    for at, way in made.get("dtypes", {}).items():
        # The stubs do not know that a Series is fine; its bare array would be inferred anew.
        frame.isetitem(int(at), _column(stored.column(int(at)), frame.iloc[:, int(at)], way))  # type: ignore[arg-type]
    if "columns" in made:
        frame.columns = _read_labels(*made["columns"])
    if "index" in made:
        frame.index = frame.index.astype(_read_dtype(made["index"]))
    if "names" in made:
        frame.index.names = untyped(made["names"])
    if "freq" in made:
        setattr(frame.index, "freq", made["freq"])  # noqa: B010  # Only time indexes have it, says mypy.
    if "attrs" in made:
        frame.attrs = untyped(made["attrs"])
    return frame


def verify(frame: pd.DataFrame, stored: Any, made: dict[str, Any], format: str) -> None:
    """Refuse a frame that would come back different.

    Raises:
        SerializationError: Names the first column that would.
    """
    back = _plain_way(frame, made, format)
    for at, label in enumerate(frame.columns):
        if frame.dtypes.iloc[at] != back.dtypes.iloc[at]:
            raise _refusal(label, frame.dtypes.iloc[at])
    if not _same_index(frame.columns, back.columns) or not _same_index(frame.index[:0], back.index):
        raise SerializationError("The labels of the frame cannot be stored exactly", hint="Use reset_index()")
    for level in _levels(frame.index):
        if _decimal_way(level.tolist()) is not None:
            raise SerializationError("Decimals in the index would change", hint="Use reset_index()")
    for at, way in made.get("dtypes", {}).items():
        if not isinstance(way, str) or way not in (*_OBJECT_WAYS, *_DECIMAL_WAYS):
            column = frame.iloc[:, int(at)]
            name = stored.column_names[int(at)]
            plain = stored.select([name]).to_pandas().iloc[:, 0]
            if not _column(stored.column(int(at)), plain, way).array.equals(column.array):
                raise _refusal(frame.columns[int(at)], column.dtype)


_OBJECT_WAYS = ("object", "object:nan")
"""Values as Arrow gives them back, and what stands for a missing one."""
_DECIMAL_WAYS = ("decimal", "decimal:nan")
"""The same of texts of Decimals."""


def _labels_survive(frame: pd.DataFrame) -> bool:
    if not frame.columns.is_unique or not _may_survive(frame.columns):
        return False
    try:
        back = pa.Table.from_pandas(frame.iloc[:0].reset_index(drop=True)).to_pandas().columns
    except (pa.ArrowException, TypeError, ValueError):
        # Either the labels, or a column whose own check is going to say so.
        return bool(pd.api.types.is_string_dtype(frame.columns.dtype))
    return _same_index(frame.columns, back)


def _may_survive(columns: Any) -> bool:
    return isinstance(columns, (pd.MultiIndex, pd.DatetimeIndex)) or columns.inferred_type == "string"


def _index_names(index: Any) -> list[str | None]:
    return [None if name is None else str(name) for name in index.names]


def _unique(columns: Any) -> list[str]:
    """Labels as different texts."""
    texts: dict[str, None] = {}
    for label in columns:
        text, count = str(label), 1
        while text in texts:
            count += 1
            text = f"{label}~{count}"
        texts[text] = None
    return list(texts)


def _labels(columns: Any) -> list[Any]:
    if isinstance(columns, pd.MultiIndex):
        raise SerializationError("The column labels cannot be stored exactly", hint="Flatten the columns")
    if isinstance(columns, pd.RangeIndex):
        return [typed(range(columns.start, columns.stop, columns.step)), "range", typed(columns.name)]
    return [typed(columns.tolist()), _dtype(columns.dtype, "labels"), typed(columns.name)]


def _read_labels(labels: Any, dtype: Any, name: Any) -> Any:
    if dtype == "range":
        return pd.RangeIndex(untyped(labels), name=untyped(name))
    return pd.Index(untyped(labels), dtype=_read_dtype(dtype), name=untyped(name))


def _same_index(left: Any, right: Any) -> bool:
    return bool(
        type(left) is type(right)
        and left.dtype == right.dtype
        and list(left.names) == list(right.names)
        and left.identical(right)
        and (not isinstance(left, pd.MultiIndex) or list(left.dtypes) == list(right.dtypes))
    )


def _index(index: Any, plain: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if not isinstance(index, pd.MultiIndex) and index.dtype != plain.dtype:
        made["index"] = _dtype(index.dtype, "index")
    if getattr(index, "freq", None) is not None and not isinstance(index, pd.PeriodIndex):
        made["freq"] = index.freqstr
    return made


def _levels(index: Any) -> list[Any]:
    levels = index.levels if isinstance(index, pd.MultiIndex) else [index]
    return [level for level in levels if level.dtype == object]


def _categories(dtype: Any) -> list[Any] | None:
    return list(dtype.categories) if isinstance(dtype, pd.CategoricalDtype) else None


def _dtype(dtype: Any, label: Any) -> Any:
    """A dtype as JSON."""
    if isinstance(dtype, pd.StringDtype):
        return ["string", dtype.storage, dtype.na_value is pd.NA]
    if isinstance(dtype, pd.CategoricalDtype):
        inner = dtype.categories.dtype
        return ["category", typed(dtype.categories.tolist()), _dtype(inner, label), bool(dtype.ordered)]
    if isinstance(dtype, pd.ArrowDtype):
        return ["arrow"]
    if isinstance(dtype, (np.dtype, pd.DatetimeTZDtype)):
        return str(dtype)
    raise _refusal(label, dtype)


def _read_dtype(stored: Any) -> Any:
    if isinstance(stored, str):
        return pd.api.types.pandas_dtype(stored)
    if stored[0] == "string":
        return pd.StringDtype(stored[1], pd.NA if stored[2] else np.nan)
    _, categories, inner, ordered = stored
    return pd.CategoricalDtype(pd.Index(untyped(categories), dtype=_read_dtype(inner)), ordered)


def _column(stored: Any, plain: pd.Series, way: Any) -> pd.Series:
    if way == ["arrow"]:
        return pd.Series(pd.arrays.ArrowExtensionArray(stored), index=plain.index)
    if way not in _OBJECT_WAYS and way not in _DECIMAL_WAYS:
        return plain.astype(_read_dtype(way))
    missing = np.nan if way.endswith(":nan") else None
    make = Decimal if way in _DECIMAL_WAYS else _unchanged
    values = [missing if value is None else make(value) for value in stored.to_pylist()]
    return _objects(values, plain.index)


def _unchanged(value: Any) -> Any:
    return value


def _objects(values: list[Any], index: Any) -> pd.Series:
    cells = np.empty(len(values), dtype=object)
    cells[:] = values
    return pd.Series(cells, index=index, dtype=object)


def _object_way(frame: pd.DataFrame, at: int) -> str | None:
    """How a column of Python objects comes back exactly; ``None``: by itself."""
    column = frame.iloc[:, at]
    cells = column.tolist()
    if (way := _decimal_way(cells)) is not None:
        return way
    whole = table(column.reset_index(drop=True).to_frame(str(column.name)), {})
    stored, plain = whole.column(0), whole.to_pandas().iloc[:, 0]
    for way in _OBJECT_WAYS:
        if _same_cells(_column(stored, plain, way).tolist(), cells):
            return way
    if plain.dtype == object and _same_cells(plain.tolist(), cells):
        return None
    raise _refusal(frame.columns[at], *_what_they_are(cells))


def _what_they_are(cells: list[Any]) -> tuple[str, str]:
    """Python objects in words, and what to make of them, when they would not come back as they are."""
    kinds = sorted({type(cell).__name__ for cell in cells if not _is_missing(cell)})
    if len(kinds) == 1:
        return _ALL_ALIKE.get(kinds[0], (f"objects of type {kinds[0]}", _CONVERT))
    return f"objects of several types: {', '.join(kinds)}", _CONVERT


def _is_missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or (type(cell) is float and cell != cell)


def _decimal_way(cells: list[Any]) -> str | None:
    """How Decimals come back that Arrow does not hold as they are; ``None``: they are none, or it does."""
    decimals = [cell for cell in cells if type(cell) is Decimal]
    rest = [cell for cell in cells if type(cell) is not Decimal]
    if not decimals or _are_of_one_scale(decimals):
        return None
    if all(cell is None for cell in rest):
        return "decimal"
    return "decimal:nan" if all(type(cell) is float and cell != cell for cell in rest) else None


def _are_of_one_scale(decimals: list[Decimal]) -> bool:
    try:
        return list(map(str, pa.array(decimals).to_pylist())) == list(map(str, decimals))
    except (pa.ArrowException, TypeError):  # too many digits, or none as in NaN
        return False


def _same_cells(left: list[Any], right: list[Any]) -> bool:
    kinds = list(map(type, left))
    if kinds != list(map(type, right)):
        return False
    if not {list, dict, np.ndarray, Decimal}.isdisjoint(kinds) or any(
        value != value for value in _floats(left)
    ):
        return encode_json(left) == encode_json(right)
    return left == right


def _floats(cells: list[Any]) -> list[float]:
    return [cell for cell in cells if type(cell) is float]


_CONVERT = "Convert the column"
_ALL_ALIKE = {
    "tuple": ("tuples, which would come back as lists", "Make them lists: .map(list)"),
    "set": ("sets, which would come back as lists", "Make them lists: .map(list)"),
    "dict": ("dicts, which would come back all with the same keys", "Make them texts: .map(json.dumps)"),
    "list": ("lists whose items would change", _CONVERT),
}
"""Values all of one type: what they are, and what to do."""


def _refusal(label: Any, what: Any, convert: str = _CONVERT) -> SerializationError:
    return SerializationError(
        f"Column {label!r} ({what}) cannot be stored exactly",
        hint=f"{convert}, or pass allow_pickle=True to the provider",
    )
