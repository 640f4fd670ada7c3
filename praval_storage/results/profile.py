"""Columns in a few figures each: type, nulls, distinct, extremes, the most frequent values, a histogram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from html import escape
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from praval_storage.cells import cell
from praval_storage.display import SHOWN, Table, as_text, body_cell, counted, head_cell, printable
from praval_storage.optional import library
from praval_storage.pictures import bars
from praval_storage.results.arrow import scalars
from praval_storage.results.columns import Cells, Column, columns_of

if TYPE_CHECKING:
    import pandas as pd

BINS = 12
TOP = 3
"""Most frequent values that are named."""
_LETTERS = 32


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """A column in figures.

    Attributes:
        name: Its name, a filter path.
        type: In Arrow's words; of values that no Arrow type holds, the names of their Python types.
        nulls: Values that are missing.
        nans: Values that are not a number.
        distinct: Different values, without those that are missing; ``None`` = cannot be told.
        min: The least value, ``None`` where there is no order.
        max: The greatest.
        top: The most frequent values and how often they are there; empty when all are different.
        histogram: How many values are in each of the stretches of equal length from ``min`` to ``max``; of
            texts and booleans, how often the most frequent are there.
    """

    name: str
    type: str
    nulls: int
    nans: int = 0
    distinct: int | None = None
    min: Any = None
    max: Any = None
    top: Sequence[tuple[Any, int]] = ()
    histogram: Sequence[int] = ()

    def cells(self) -> list[str]:
        """All but the histogram in words."""
        return [
            printable(self.name),
            self.type,
            f"{self.nulls:,}".replace(",", " ") + (f", {self.nans} NaN" if self.nans else ""),
            "-" if self.distinct is None else f"{self.distinct:,}".replace(",", " "),
            _word(self.min),
            _word(self.max),
            ", ".join(f"{_short(value)} ×{times}" for value, times in self.top) or "-",
        ]


_HEADER = ("column", "type", "nulls", "distinct", "min", "max", "top values")
_TO_THE_RIGHT = frozenset({"nulls", "distinct", "min", "max", "histogram"})


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """The columns of a result in figures.

    Attributes:
        title: What they are of, and whether a limit cut some of it off.
        rows: How many records.
        columns: One profile each.
    """

    title: str
    rows: int
    columns: Sequence[ColumnProfile]

    def to_pandas(self) -> pd.DataFrame:
        """One row for each column, its name as the index."""
        rows = [{each.name: getattr(column, each.name) for each in fields(column)} for column in self.columns]
        names = [each.name for each in fields(ColumnProfile)]
        frame: pd.DataFrame = library("pandas", "frames").DataFrame(rows, columns=names, dtype=object)
        return frame.set_index("name").astype({"type": "str", "nulls": "int64", "nans": "int64"})

    def __repr__(self) -> str:
        rows = [column.cells() for column in self.columns[:SHOWN]]
        return as_text(Table(self.title, _HEADER, rows, len(self.columns) - len(rows)))

    def _repr_html_(self) -> str:
        names = (*_HEADER, "histogram")
        head = "".join(head_cell(name, name in _TO_THE_RIGHT) for name in names)
        rows = "".join(map(_row_html, self.columns[:SHOWN]))
        rest = len(self.columns) - SHOWN
        more = f"<p>... {counted(rest, 'more column')}; .to_pandas() has all</p>" if rest > 0 else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<div><p>{escape(self.title)}</p>{table}{more}</div>"


def profile(cells: Cells, title: str) -> Profile:
    """The profile of some records."""
    columns = columns_of(cells)
    return Profile(title, len(cells.rows), [_profile(name, column) for name, column in columns.items()])


def _profile(name: str, column: Column) -> ColumnProfile:
    array = scalars(column) if isinstance(column, list) else column
    if array is None or pa.types.is_nested(array.type):
        return _of_objects(name, column if isinstance(column, list) else column.to_pylist())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return _of_array(name, array)


def _of_array(name: str, array: pa.Array) -> ColumnProfile:
    there = array.drop_null()
    nans = 0
    if pa.types.is_floating(array.type):
        is_nan = pc.is_nan(there)
        nans = pc.sum(is_nan).as_py() or 0
        there = there.filter(pc.invert(is_nan)) if nans else there
    counts = _counts(there)
    low, high = _extremes(there)
    return ColumnProfile(
        name,
        str(array.type),
        array.null_count,
        nans,
        None if counts is None else len(counts),
        low,
        high,
        _top(counts),
        _histogram(there, counts),
    )


def _counts(there: pa.Array) -> pa.Array | None:
    if pa.types.is_floating(there.type):
        there = pc.add(there, pa.scalar(0.0, there.type))  # -0.0 is 0.0, as in filters
    try:
        return pc.value_counts(there.storage if isinstance(there, pa.ExtensionArray) else there)
    except pa.ArrowException:
        return None


def _top(counts: pa.Array | None) -> list[tuple[Any, int]]:
    if counts is None or not len(counts):
        return []
    times = counts.field("counts")
    if pc.max(times).as_py() == 1:
        return []
    places = pc.select_k_unstable(times, k=min(TOP, len(times)), sort_keys=[("", "descending")])
    return [(each["values"], each["counts"]) for each in counts.take(places).to_pylist()]


def _extremes(there: pa.Array) -> tuple[Any, Any]:
    if not len(there) or pa.types.is_boolean(there.type):
        return None, None
    try:
        found = pc.min_max(there)
    except pa.ArrowException:
        return None, None
    return found["min"].as_py(), found["max"].as_py()


def _histogram(there: pa.Array, counts: pa.Array | None) -> list[int]:
    if not len(there):
        return []
    if any(is_kind(there.type) for is_kind in _MEASURED):
        return _stretches(_numbers(there))
    if counts is None or len(counts) == len(there):
        return []
    times: list[int] = np.sort(counts.field("counts").to_numpy(zero_copy_only=False))[::-1][:BINS].tolist()
    return times


_MEASURED = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_temporal,
)


def _numbers(there: pa.Array) -> Any:
    if pa.types.is_temporal(there.type):
        there = there.view(pa.int32() if there.type.bit_width == 32 else pa.int64())
    return there.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _stretches(numbers: Any) -> list[int]:
    finite = numbers[np.isfinite(numbers)]
    # Halves, because the difference of two large numbers can be beyond the largest float.
    if not finite.size or not finite.max() / 2 - finite.min() / 2 > 0:
        return [finite.size] if finite.size else []
    low, width = finite.min() / 2, finite.max() / 2 - finite.min() / 2
    shares = (finite / 2 - low) / width
    found: list[int] = np.bincount(np.minimum((shares * BINS).astype(int), BINS - 1), minlength=BINS).tolist()
    return found


def _of_objects(name: str, values: Sequence[Any]) -> ColumnProfile:
    """Lists, objects, and values of several types."""
    there = [value for value in values if value is not None]
    kinds = " | ".join(sorted({type(value).__name__ for value in there})) or "null"
    try:
        # 1, 1.0 and True are equal, and not the same.
        counts = Counter((type(value), value) for value in there)
    except TypeError:  # no hash, as lists and dicts have none
        return ColumnProfile(name, kinds, len(values) - len(there))
    top = [(value, times) for (_, value), times in counts.most_common(TOP) if times > 1]
    histogram = [times for _, times in counts.most_common(BINS)] if top else []
    return ColumnProfile(name, kinds, len(values) - len(there), 0, len(counts), top=top, histogram=histogram)


def _row_html(column: ColumnProfile) -> str:
    words = "".join(
        body_cell(escape(word), name in _TO_THE_RIGHT)
        for name, word in zip(_HEADER, column.cells(), strict=True)
    )
    alt = f"histogram: {', '.join(map(str, column.histogram))}"
    picture = f'<img src="{bars(column.histogram)}" alt="{alt}">' if column.histogram else "-"
    return f"<tr>{words}{body_cell(picture, True)}</tr>"


def _word(value: Any) -> str:
    return "-" if value is None else _short(value)


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) and isfinite(value) else cell(value).text
    return printable(text, _LETTERS)
