"""pandas frames of records.

Imports pandas, which takes most of a second: results load this module when a frame is first asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from praval_storage.results.arrow import scalars
from praval_storage.results.columns import Cells, Column, columns_of

_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}
"""What NumPy would turn into floats or objects as soon as there is a null."""

_IS_SAME_IN_PANDAS = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_string,
    pa.types.is_timestamp,
    pa.types.is_duration,
)


def to_pandas(cells: Cells) -> pd.DataFrame:
    """The records as a frame.

    Booleans, integers, floats, text, datetimes and timedeltas get a dtype of their own if a whole column is
    of one kind, a nullable one where needed. Everything else stays the Python value that was stored.
    """
    columns = {name: _series(column) for name, column in columns_of(cells).items()}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(cells.rows)))


def _series(column: Column) -> pd.Series[Any]:
    array = _scalar_chunks(column) if isinstance(column, list) else column
    if array is not None and any(is_kind(array.type) for is_kind in _IS_SAME_IN_PANDAS):
        # With a mapper, even one that has nothing for a type, texts would be copied one by one.
        nullable = _NULLABLE.get if array.null_count and array.type in _NULLABLE else None
        series: pd.Series[Any] = array.to_pandas(types_mapper=nullable)
        return series
    return _objects(column if isinstance(column, list) else [None] * len(column))


def _scalar_chunks(values: list[Any]) -> pa.ChunkedArray | None:
    array = scalars(values)
    return array if array is None or isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _objects(values: list[Any]) -> pd.Series[Any]:
    cells = np.empty(len(values), dtype=object)
    cells[:] = values  # np.array(values) would make lists of one length the rows of a matrix
    return pd.Series(cells, dtype=object)
