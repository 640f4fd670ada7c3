"""The provider contract.

A provider subclasses :class:`BaseStorageProvider` and defines ``store``, ``retrieve`` and ``delete``;
``query`` is optional. Those methods see plain Python values, and everything else the manager needs
(batches, existence, references) is derived from them, at the price that each docstring states.

A richer provider subclasses :class:`RecordProvider` (it keeps metadata, times, expiry and types) and as many
capability classes as it can honour. A capability is one or two hooks; ``isinstance`` is the only test for it.
"""

from __future__ import annotations

from praval_storage.base.capabilities import (
    CanBrowse,
    CanPurge,
    CanQuery,
    CanSearch,
    CanStream,
    CanTransact,
    HasCollections,
    HasForeign,
    HasVectors,
    HasVersions,
    Writer,
)
from praval_storage.base.items import Item, StorageResult, raise_failure
from praval_storage.base.marks import changes, is_changing
from praval_storage.base.provider import BaseStorageProvider, ErrorMap, boundary, translate
from praval_storage.base.record_provider import RecordProvider
from praval_storage.base.telling import settings_of, told

__all__ = [
    "BaseStorageProvider",
    "CanBrowse",
    "CanPurge",
    "CanQuery",
    "CanSearch",
    "CanStream",
    "CanTransact",
    "ErrorMap",
    "HasCollections",
    "HasForeign",
    "HasVectors",
    "HasVersions",
    "Item",
    "RecordProvider",
    "StorageResult",
    "Writer",
    "boundary",
    "changes",
    "is_changing",
    "raise_failure",
    "settings_of",
    "told",
    "translate",
]
