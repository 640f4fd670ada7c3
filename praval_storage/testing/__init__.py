"""For authors of providers: the conformance suite, random records and filters, a provider to read.

A provider is a class; what it claims follows from its base classes alone, and the suite asks for that:

=======================  ================================================================================
``BaseStorageProvider``  ``store``, ``retrieve``, ``delete``: keys, replacing, batches, references, threads
``RecordProvider``       ``put``, ``read``, ``remove``: every type, metadata, times, expiry, previews
``CanQuery``             ``scan``: listing, every operator and order; browsing follows
``CanSearch``            ``nearest``, ``metric``, ``embed``: vectors of four dimensions under ``vector``
``CanStream``            ``open``: bodies in pieces
``CanPurge``             ``purge_expired``
``CanBrowse``            ``look``, ``measure``, ``home``, ``place_of``, ``key_at``: pages and places
``HasCollections``       ``collections``, ``in_collection``, ``collection``
=======================  ================================================================================

What a provider does not claim has to be refused with ``UnsupportedOperationError``, which is tested as well.

In a notebook::

    from praval_storage.testing import check_provider

    check_provider(lambda folder: MyProvider(folder / "data"))

In a test suite::

    from praval_storage.testing import ProviderConformance

    class TestMine(ProviderConformance):
        @pytest.fixture
        def provider(self, tmp_path) -> MyProvider:
            return MyProvider(tmp_path)

The fixture returns a fresh, empty provider each time. With the annotation, tests of what it does not claim
are not collected; without it they are skipped. Where others can write to the same backend, override
``write_foreign(provider, key, body)``, and what they wrote is tested too. ``RecordProvider.put_each``,
``Stored.to_bytes`` and ``Stored.from_bytes`` do most of the work of a backend that keeps bytes under keys,
one at a time; :class:`InMemoryProvider` is the smallest example.

A package makes its provider known under a name with an entry point, and ``dm.register_provider("mine")``
finds it, configured by its ``from_env``::

    [project.entry-points."praval_storage.providers"]
    mine = "my_package:MyProvider"

The suite needs pytest; ``praval_storage.testing.strategies`` (random records and filters) needs hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from praval_storage.testing.checking import Conformance, check_provider
    from praval_storage.testing.conformance import ProviderConformance
    from praval_storage.testing.memory import InMemoryProvider
    from praval_storage.testing.values import ROUND_TRIP_VALUES

__all__ = ["ROUND_TRIP_VALUES", "Conformance", "InMemoryProvider", "ProviderConformance", "check_provider"]

_HOME = {
    "Conformance": "checking",
    "InMemoryProvider": "memory",
    "ProviderConformance": "conformance",
    "ROUND_TRIP_VALUES": "values",
    "check_provider": "checking",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
