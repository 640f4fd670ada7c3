"""A provider in a package of its own: values in one JSON file that a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Self

from praval_storage import BaseStorageProvider, StorageResult
from praval_storage.serialization import dumps, loads


class ShelfProvider(BaseStorageProvider):
    """Values in a JSON file, all of which is read and written each time.

    Args:
        path: The file; made by the first write.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__("shelf")
        self.path = Path(path)
        self._lock = Lock()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """``SHELF_PATH``, else ``shelf.json`` in the working directory."""
        return cls(environ.get("SHELF_PATH") or "shelf.json")

    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        with self._lock:
            self._write({**self._read(), key: data})
        return StorageResult(success=True, key=key)

    def retrieve(self, key: str) -> Any:
        return self._read()[key]

    def delete(self, key: str) -> bool:
        with self._lock:
            values = self._read()
            if key not in values:
                return False
            del values[key]
            self._write(values)
            return True

    def _read(self) -> dict[str, Any]:
        return loads(self.path.read_bytes()) if self.path.exists() else {}

    def _write(self, values: dict[str, Any]) -> None:
        new = self.path.with_suffix(".new")
        new.write_bytes(dumps(values))
        new.replace(self.path)


class UnfinishedProvider(BaseStorageProvider):
    """Lacks the three methods."""
