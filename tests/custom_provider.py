"""The guide's ``MyCustomProvider``, written out with a dict: nothing but the guide's four methods."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from praval_storage import BaseStorageProvider, StorageResult
from praval_storage.filters import parse


class MyCustomProvider(BaseStorageProvider):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__("custom")
        self.config = config
        self.kept: dict[str, tuple[Any, dict[str, Any]]] = {}

    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        self.kept[key] = (data, metadata)
        return StorageResult(success=True, key=key)

    def retrieve(self, key: str) -> Any:
        data, _ = self.kept[key]
        return data

    def delete(self, key: str) -> bool:
        return self.kept.pop(key, None) is not None


class MyQueryableProvider(MyCustomProvider):
    """With the optional ``query`` as well."""

    def query(self, filters: dict[str, Any], limit: int | None) -> list[Any]:
        where = parse(filters)
        matching = [
            data
            for key, (data, metadata) in self.kept.items()
            if where.matches(
                SimpleNamespace(
                    key=key, data=data, metadata=metadata,
                    created_at=None, updated_at=None, size=None, format=None,
                )
            )
        ]  # fmt: skip
        return matching[:limit]
