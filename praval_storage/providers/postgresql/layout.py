"""What a table is to the provider: ours to write, or somebody else's to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from praval_storage.base import Item, StorageResult
from praval_storage.records import Stored
from praval_storage.scan import Scan, Scanned


class Layout(Protocol):
    """The record hooks of a provider, on one kind of table."""

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        """See ``RecordProvider.put``."""

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        """See ``RecordProvider.read``."""

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """See ``RecordProvider.remove``."""

    def scan(self, request: Scan) -> Scanned:
        """See ``CanQuery.scan``."""

    def purge_expired(self) -> int:
        """See ``CanPurge.purge_expired``."""
