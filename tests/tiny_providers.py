"""Small providers for tests: one that fails when told to, one with drawers, careless and untouchable ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from custom_provider import MyCustomProvider

from praval_storage import BaseStorageProvider, DataManager, DataReference, StorageResult
from praval_storage.base import HasCollections, Item
from praval_storage.records import Record, Stored
from praval_storage.testing import InMemoryProvider


class Tracked(InMemoryProvider):
    """Counts what is asked of it, and fails with the errors it was given before it works."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__("tracked")
        self.failures = list(failures)
        self.calls = 0
        self.closed = 0

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        self._fail()
        return super().put(items, overwrite=overwrite)

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        self._fail()
        return super().read(keys, bodies=bodies)

    def close(self) -> None:
        self.closed += 1

    def _fail(self) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)


class Stuck(Tracked):
    """Cannot be closed."""

    def close(self) -> None:
        super().close()
        raise RuntimeError("stuck")


class Cupboard(InMemoryProvider, HasCollections):
    """Drawers of records that know each other."""

    def __init__(self, collection: str = "own", drawers: dict[str, Cupboard] | None = None) -> None:
        super().__init__("cupboard")
        self._collection = collection
        self.drawers = {} if drawers is None else drawers
        self.drawers[collection] = self
        self.closed = 0

    @property
    def collection(self) -> str:
        return self._collection

    def collections(self) -> list[str]:
        return [*self.drawers]

    def in_collection(self, name: str) -> Self:
        return self.drawers.get(name) or type(self)(name, self.drawers)  # type: ignore[return-value]

    def close(self) -> None:
        self.closed += 1


class Reporting(MyCustomProvider):
    """Reports failures in its results instead of raising them."""

    def __init__(self, error: Exception | str | None) -> None:
        super().__init__({})
        self.error = error

    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        if key == "bad":
            return StorageResult(success=False, key=key, error=self.error)
        return super().store(key, data, metadata)


class Careless(MyCustomProvider):
    """Trips over one key, and deletes like ``del``."""

    def retrieve(self, key: str) -> Any:
        if key == "bad":
            raise RuntimeError("tripped over it")
        return super().retrieve(key)

    def delete(self, key: str) -> bool:
        if key == "bad":
            raise RuntimeError("tripped over it")
        del self.kept[key]
        return True


class Untouchable(BaseStorageProvider):
    """May not be called at all."""

    def __init__(self) -> None:
        super().__init__("untouchable")

    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        raise AssertionError("store was called")

    def retrieve(self, key: str) -> Any:
        raise AssertionError("retrieve was called")

    def delete(self, key: str) -> bool:
        raise AssertionError("delete was called")

    def query(self, filters: dict[str, Any], limit: int | None) -> list[Any]:
        raise AssertionError("query was called")


def record(dm: DataManager, reference: DataReference) -> Record:
    """What a manager's query finds under a key."""
    filters = {"key": reference.key}
    [found] = dm.query(reference.storage_type, filters, collection=reference.collection).records
    return found
