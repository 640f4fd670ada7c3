"""The records of a result as something to look around in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from praval_storage.base import BaseStorageProvider, CanQuery, StorageResult
from praval_storage.errors import UnsupportedOperationError
from praval_storage.jupyter.outline import Looker
from praval_storage.manager import DataManager
from praval_storage.places import Look, Seen
from praval_storage.records import Stored
from praval_storage.results.sequence import RowSequence
from praval_storage.scan import Scan, Scanned


class Shelf(CanQuery):
    """Holds the rows of a result; whatever else is asked of it, the provider they came from answers.

    Args:
        source: The provider.
        rows: The rows.
    """

    def __init__(self, source: BaseStorageProvider, rows: Sequence[Stored]) -> None:
        super().__init__(source.name)
        self._source = source
        self._rows = rows

    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        """A result does not change."""
        raise UnsupportedOperationError("A result does not change", provider=self.name, operation="store")

    def delete(self, key: str) -> bool:
        """A result does not change."""
        raise UnsupportedOperationError("A result does not change", provider=self.name, operation="delete")

    def retrieve(self, key: str) -> Any:
        """The value as it is stored now."""
        return self._source.retrieve(key)

    def scan(self, request: Scan) -> Scanned:
        """All rows; the filter is for the caller."""
        return Scanned(self._rows, residual=request.where)

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        """The records as they are stored now."""
        return self._source.read(keys, bodies=bodies)

    def load(self, stored: Stored) -> Any:
        """The value of a row."""
        return self._source.load(stored)


def shelf(result: RowSequence[Any]) -> tuple[DataManager, Looker]:
    """A manager of the provider a result came from, and what answers looks by its rows alone.

    Raises:
        UnsupportedOperationError: Its rows came from no provider.
    """
    source: object = result._source  # noqa: SLF001 - the one that made it
    if not isinstance(source, BaseStorageProvider):
        raise UnsupportedOperationError(f"The rows of this result came from {source!r}, which is no provider")
    held = DataManager({result.storage_type: Shelf(source, result._rows)})  # noqa: SLF001 - as above

    def look(storage_type: str, request: Look) -> Seen:
        return replace(held.look(storage_type, request), collection=result.collection, note="")

    return DataManager({result.storage_type: source}), look
