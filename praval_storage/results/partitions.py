"""Dask frames of records: every partition is a part of the result, loaded where it is needed.

Imports dask, which takes more than a second: results load this module when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import dask.dataframe as dd

from praval_storage.errors import SerializationError

if TYPE_CHECKING:
    import pandas as pd
    from dask.dataframe import DataFrame

_NULLABLE = {"bool": "boolean", "int64": "Int64", "uint64": "UInt64"}


class Part(Protocol):
    """A piece of a result that can be pickled and makes a pandas frame."""

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """See ``RowSequence.to_pandas``."""


def to_dask(first: Part, parts: Sequence[Part], columns: Sequence[str] | None) -> DataFrame:
    """The parts as the partitions of one frame; columns and dtypes are those of ``first``."""
    example = first.to_pandas(columns).iloc[:0]
    # A later partition may have the first null.
    meta = example.astype({name: _NULLABLE.get(str(kind), kind) for name, kind in example.dtypes.items()})
    # `columns` is a name of dask's own: it would push a projection into the function.
    frame: DataFrame = dd.from_map(  # type: ignore[no-untyped-call]  # dask is half typed
        _load, parts, wanted=columns, like=meta, meta=meta
    )
    return frame


def _load(part: Part, *, wanted: Sequence[str] | None, like: pd.DataFrame) -> pd.DataFrame:
    frame = part.to_pandas(wanted).reindex(columns=like.columns)
    try:
        return frame.astype(like.dtypes.to_dict())
    except (TypeError, ValueError) as error:
        raise SerializationError(
            f"A partition does not have the types of the first one: {error}",
            hint="Name the columns to make with columns=, or use to_pandas()",
        ) from error
