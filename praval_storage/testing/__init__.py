"""For authors of providers: the conformance suite and a reference implementation.

    from praval_storage.testing import ProviderConformance

    class TestMine(ProviderConformance):
        @pytest.fixture
        def provider(self, tmp_path):
            return MyProvider(tmp_path)

The suite needs pytest; ``praval_storage.testing.strategies`` (random records and filters) needs hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from praval_storage.testing.conformance import ProviderConformance
    from praval_storage.testing.memory import InMemoryProvider
    from praval_storage.testing.values import ROUND_TRIP_VALUES

__all__ = ["ROUND_TRIP_VALUES", "InMemoryProvider", "ProviderConformance"]

_HOME = {"InMemoryProvider": "memory", "ProviderConformance": "conformance", "ROUND_TRIP_VALUES": "values"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
