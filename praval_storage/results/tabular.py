"""What all results of reading can become: frames, a profile of their columns, a chart.

The libraries for that load when one of these is first asked for: pandas alone takes longer to import than
most queries take to run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from praval_storage.errors import InvalidFilterError
from praval_storage.filters import Path
from praval_storage.garbage import collection_paused
from praval_storage.optional import library

if TYPE_CHECKING:
    import dask.dataframe
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from praval_storage.results.plots import Kind
    from praval_storage.results.profile import Profile

PARTITION = 10_000
"""Records in a partition of a Dask frame."""


class Tabular(ABC):
    """Records that have columns."""

    truncated: bool

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The records as a pandas frame.

        Columns are ``key``, the data's own fields in the order of their first appearance, ``metadata.*`` and
        ``created_at``; of a search also ``score``, of a listing format, size and ``updated_at`` in place of
        the data. A column name is a filter path, so a field called ``size`` becomes ``data.size``. Data that
        is not a dict is in the column ``data``; a field that is missing is null.

        Booleans, integers (nullable where needed), floats, text, datetimes and timedeltas get a dtype when a
        column has one kind only; all else stays the Python value that was stored.

        Args:
            columns: Just these, in this order: names as above or any filter path, such as ``address.city``
                or ``updated_at``. What no record has is a column of nulls. Without a path into the data no
                body is fetched.

        Raises:
            InvalidFilterError: A column is not a path.
            KeyNotFoundError: Records have gone since they were listed; names their keys.
        """
        frame: pd.DataFrame = self._frame("praval_storage.results.frames", "to_pandas", columns)
        return frame

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The records as an Arrow table with the columns of :meth:`to_pandas`, objects as structs.

        JSON values that vary in type from row to row are kept as JSON text in a column of the canonical
        extension type ``arrow.json``.

        Raises:
            KeyNotFoundError: Records have gone since they were listed; names their keys.
            SerializationError: A column holds what no Arrow type can, for example whole frames.
        """
        return self._frame("praval_storage.results.arrow", "to_arrow", columns)

    def to_polars(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The records as a Polars frame: :meth:`to_arrow`, with ``arrow.json`` and UUIDs as text."""
        library("polars", "polars,frames")
        frame: pl.DataFrame = self._frame("praval_storage.results.arrow", "to_polars", columns)
        return frame

    def to_dask(
        self, columns: Sequence[str] | None = None, *, partition_size: int = PARTITION
    ) -> dask.dataframe.DataFrame:
        """The records as a Dask frame: each partition is read, by the provider, where Dask computes it.

        Columns and dtypes are those of the first ``partition_size`` records, integers and booleans nullable.

        Args:
            columns: As in :meth:`to_pandas`.
            partition_size: Records in a partition.

        Raises:
            SerializationError: While computing, when a later partition has other types.
        """
        module = library("praval_storage.results.partitions", "dask")
        first, parts = self._part(slice(partition_size)), self._parts(partition_size)
        frame: dask.dataframe.DataFrame = module.to_dask(first, parts, columns)
        return frame

    def profile(self, columns: Sequence[str] | None = None) -> Profile:
        """The columns of :meth:`to_pandas` in figures: types, nulls, distinct, extremes, top values.

        Of a result that its limit cut off they are of what is in it, which the title says.

        Args:
            columns: As in :meth:`to_pandas`.
        """
        wanted = columns if columns is None else _paths(columns)
        module = library("praval_storage.results.profile", "frames")
        title = self._title().replace(type(self).__name__, "Profile", 1)
        with collection_paused():
            found: Profile = module.profile(self._made_cells(wanted), title)
        return found

    def plot(
        self, x: str | None = None, y: str | Sequence[str] | None = None, kind: Kind | None = None
    ) -> Any:
        """A chart that fits the columns, drawn by the plotting backend that pandas is set to.

        Numbers over time make lines, two columns of numbers a scatter plot, numbers with a category the mean
        of each, a category alone its counts, numbers alone a histogram.

        Args:
            x: Column of the x axis, a name or path as in :meth:`to_pandas`.
            y: One or several columns of the y axis.
            kind: A kind of ``DataFrame.plot`` instead of the one that would be chosen.

        Returns:
            What the backend returns: of matplotlib, the axes.

        Raises:
            ConfigurationError: There is nothing that can be drawn.
            ImportError: The backend is not installed.
        """
        ys = [y] if isinstance(y, str) else list(y or ())
        named = _paths([name for name in (x, *ys) if name is not None])
        # A column alone may be drawn against any other.
        cells = self._made_cells(named if x is not None and ys else None)
        module = library("praval_storage.results.plots", "frames")
        return module.plot(cells, x, ys, kind, self._title() if self.truncated else None)

    def _frame(self, module: str, function: str, columns: Sequence[str] | None) -> Any:
        wanted = columns if columns is None else _paths(columns)
        make = getattr(library(module, "frames"), function)
        with collection_paused():
            return make(self._made_cells(wanted))

    def _made_cells(self, wanted: Sequence[str] | None) -> Any:
        return library("praval_storage.results.columns", "frames").Cells(*self._cells(wanted), wanted)

    @abstractmethod
    def _cells(self, wanted: Sequence[str] | None) -> tuple[Any, ...]:
        """What frames are made of: rows, a function that gives their values, and scores."""

    @abstractmethod
    def _part(self, places: slice) -> Self:
        """Some of the records."""

    @abstractmethod
    def _parts(self, size: int) -> list[Self]:
        """The records in parts of a size, one at least, each small enough to be sent to a worker."""

    @abstractmethod
    def _title(self) -> str:
        """What and how many they are, and whether that is all."""


def _paths(columns: Sequence[str]) -> list[str]:
    given: object = columns  # notebooks are not type-checked
    if isinstance(given, str):
        raise InvalidFilterError(f"columns must be a list of paths, not the str {given!r}")
    for name in columns:
        Path.parse(name)
    return list(columns)
