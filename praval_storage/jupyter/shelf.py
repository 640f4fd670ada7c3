"""The records of a result as something to look around in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from praval_storage.base import BaseStorageProvider, CanQuery, StorageResult
from praval_storage.errors import UnsupportedOperationError
from praval_storage.jupyter.outline import Looker
from praval_storage.manager import DataManager
from praval_storage.places import Look, Seen
from praval_storage.records import Stored
from praval_storage.results.sequence import RowSequence, Source
from praval_storage.scan import Scan, Scanned

Fill = Callable[[Sequence[Stored]], list[Stored | None]]


class Shelf(CanQuery):
    """Holds the rows of a result; their bodies come from where the result gets them. Nothing can be written.

    Args:
        name: What it is called in messages.
        source: The source of the result.
        rows: Its rows.
    """

    def __init__(self, name: str, source: Source, rows: Sequence[Stored]) -> None:
        super().__init__(name)
        self._source = source
        self._rows = rows

    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        """A result does not change."""
        raise UnsupportedOperationError("A result does not change")

    def delete(self, key: str) -> bool:
        """A result does not change."""
        raise UnsupportedOperationError("A result does not change")

    def retrieve(self, key: str) -> Any:
        """The value of a row."""
        return next((self.load(row) for row in self._rows if row.key == key), None)

    def scan(self, request: Scan) -> Scanned:
        """All rows; the filter is for the caller."""
        return Scanned(self._rows, residual=request.where)

    def fill(self, rows: Sequence[Stored]) -> list[Stored | None]:
        """The rows with their bodies."""
        fill: Fill | None = getattr(self._source, "fill", None)
        return fill(rows) if fill else list(rows)

    def load(self, stored: Stored) -> Any:
        """The value of a row."""
        return self._source.load(stored)


def shelf(result: RowSequence[Any]) -> tuple[DataManager, Looker]:
    """A manager of the provider a result came from, and what answers looks by its rows alone.

    Raises:
        UnsupportedOperationError: Its rows came from no manager.
    """
    source, name = result._source, result.storage_type  # noqa: SLF001 - what results are made of
    providers: Mapping[str, BaseStorageProvider] = getattr(source, "providers", {})
    if name not in providers:
        raise UnsupportedOperationError(f"The rows of this result came from {source!r}, not from a manager")
    held = DataManager({name: Shelf(name, source, result._rows)})  # noqa: SLF001 - as above

    def look(storage_type: str, request: Look) -> Seen:
        return replace(held.look(storage_type, request), collection=result.collection, note="")

    return DataManager({name: providers[name]}), look
