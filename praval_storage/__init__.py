"""One way to store, find, query, search, look at and move data on five backends.

    >>> from praval_storage import get_data_manager
    >>> dm = get_data_manager()
    >>> ref = dm.store({"user": "alice"}, "filesystem", key="user_alice")
    >>> dm.retrieve(ref)
    {'user': 'alice'}

Everything public is here, in ``praval_storage.providers`` and in ``praval_storage.testing``; names load
on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from praval_storage.base import (
        BaseStorageProvider,
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
        RecordProvider,
        StorageResult,
    )
    from praval_storage.decorators import requires_storage, storage_enabled
    from praval_storage.environment import get_data_manager, reset_data_manager
    from praval_storage.errors import (
        ConfigurationError,
        InvalidFilterError,
        InvalidKeyError,
        KeyExistsError,
        KeyNotFoundError,
        ProviderNotRegisteredError,
        SerializationError,
        StorageConnectionError,
        StorageError,
        StoragePermissionError,
        StorageTimeoutError,
        TransactionError,
        UnsupportedOperationError,
    )
    from praval_storage.manager import DataManager
    from praval_storage.options import set_options
    from praval_storage.places import Column, Count, Look, Measured, Place, Seen
    from praval_storage.records import Record
    from praval_storage.reference import DataReference
    from praval_storage.results import BatchResult, Listing, Outcome, QueryResult, SearchResult
    from praval_storage.scan import Plan
    from praval_storage.transaction import Transaction, TransactionReport

__version__ = "0.1.0"

_HOME = {
    "base": (
        "BaseStorageProvider",
        "CanBrowse",
        "CanPurge",
        "CanQuery",
        "CanSearch",
        "CanStream",
        "CanTransact",
        "HasCollections",
        "HasForeign",
        "HasVectors",
        "HasVersions",
        "RecordProvider",
        "StorageResult",
    ),
    "decorators": ("requires_storage", "storage_enabled"),
    "environment": ("get_data_manager", "reset_data_manager"),
    "errors": (
        "ConfigurationError",
        "InvalidFilterError",
        "InvalidKeyError",
        "KeyExistsError",
        "KeyNotFoundError",
        "ProviderNotRegisteredError",
        "SerializationError",
        "StorageConnectionError",
        "StorageError",
        "StoragePermissionError",
        "StorageTimeoutError",
        "TransactionError",
        "UnsupportedOperationError",
    ),
    "manager": ("DataManager",),
    "options": ("set_options",),
    "places": ("Column", "Count", "Look", "Measured", "Place", "Seen"),
    "records": ("Record",),
    "reference": ("DataReference",),
    "results": ("BatchResult", "Listing", "Outcome", "QueryResult", "SearchResult"),
    "scan": ("Plan",),
    "transaction": ("Transaction", "TransactionReport"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "BaseStorageProvider",
    "BatchResult",
    "CanBrowse",
    "CanPurge",
    "CanQuery",
    "CanSearch",
    "CanStream",
    "CanTransact",
    "Column",
    "ConfigurationError",
    "Count",
    "DataManager",
    "DataReference",
    "HasCollections",
    "HasForeign",
    "HasVectors",
    "HasVersions",
    "InvalidFilterError",
    "InvalidKeyError",
    "KeyExistsError",
    "KeyNotFoundError",
    "Listing",
    "Look",
    "Measured",
    "Outcome",
    "Place",
    "Plan",
    "ProviderNotRegisteredError",
    "QueryResult",
    "Record",
    "RecordProvider",
    "SearchResult",
    "Seen",
    "SerializationError",
    "StorageConnectionError",
    "StorageError",
    "StoragePermissionError",
    "StorageResult",
    "StorageTimeoutError",
    "Transaction",
    "TransactionError",
    "TransactionReport",
    "UnsupportedOperationError",
    "get_data_manager",
    "requires_storage",
    "reset_data_manager",
    "set_options",
    "storage_enabled",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext praval_storage``: the magics ``%dm`` and ``%%dm_query``."""
    import_module(f"{__name__}.jupyter.magics").load(shell)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
