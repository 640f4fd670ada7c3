"""What the parts of the suite share: the fixtures, the capabilities a test needs, a look at one record."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any, TypeVar, get_args

import pytest

from praval_storage.base import BaseStorageProvider
from praval_storage.manager import DataManager
from praval_storage.records import Record
from praval_storage.reference import DataReference

F = TypeVar("F", bound=Callable[..., Any])

PATIENCE = 10.0
"""Seconds until a test gives up waiting for what takes a fraction of one."""


def needs(*capabilities: type[BaseStorageProvider], foreign: bool = False) -> Callable[[F], F]:
    """Run a test only on providers that subclass all of these, and where others can write to the backend."""

    def mark(function: F) -> F:
        function.capabilities = capabilities  # type: ignore[attr-defined]
        function.foreign = foreign  # type: ignore[attr-defined]
        return function

    return mark


class Suite:
    """The fixtures; ``provider`` is the one to define."""

    def __init_subclass__(cls) -> None:
        """Leave out what an annotated provider does not claim; without annotation it is skipped instead."""
        super().__init_subclass__()
        claimed = _annotated_provider(cls)
        if claimed is None:
            return
        can_write_foreign = cls.write_foreign is not Suite.write_foreign
        for name in dir(cls):
            test = getattr(cls, name)
            able = all(issubclass(claimed, capability) for capability in getattr(test, "capabilities", ()))
            if not able or (getattr(test, "foreign", False) and not can_write_foreign):
                setattr(cls, name, None)

    @pytest.fixture
    def provider(self) -> BaseStorageProvider:
        """A fresh, empty provider."""
        raise NotImplementedError(f"{type(self).__name__} must define the fixture `provider`")

    @pytest.fixture
    def storage_type(self) -> str:
        """The name the provider is registered under."""
        return "under test"

    @pytest.fixture
    def dm(self, provider: BaseStorageProvider, storage_type: str) -> Iterator[DataManager]:
        """A manager that has the provider and no other."""
        with DataManager({storage_type: provider}) as manager:
            yield manager

    @pytest.fixture(autouse=True)
    def _only_what_the_provider_claims(
        self, request: pytest.FixtureRequest, provider: BaseStorageProvider
    ) -> None:
        for capability in getattr(request.function, "capabilities", ()):
            if not isinstance(provider, capability):
                pytest.skip(f"{type(provider).__name__} is no {capability.__name__}")

    def write_foreign(self, provider: BaseStorageProvider, key: str, body: bytes) -> None:
        """Put a body where the provider will find it under ``key``, not using the provider.

        Without an override the tests of foreign data do not run.
        """
        pytest.skip(f"{type(self).__name__} does not define write_foreign")


def _annotated_provider(suite: type[Suite]) -> type[BaseStorageProvider] | None:
    """What the ``provider`` fixture of this very class says it returns (or yields)."""
    fixture = vars(suite).get("provider")
    if fixture is None or suite is Suite:
        return None
    try:
        hint = inspect.get_annotations(inspect.unwrap(fixture), eval_str=True).get("return")
    except (NameError, TypeError):
        return None
    hint = next(iter(get_args(hint)), hint)
    return hint if isinstance(hint, type) and issubclass(hint, BaseStorageProvider) else None


def record(provider: BaseStorageProvider, key: str) -> Record:
    """The record under a key as the provider returns it."""
    [stored] = provider.read([key])
    assert stored is not None, f"no record under {key!r}"
    return Record(stored, provider.load)


def keys_in(dm: DataManager, storage_type: str, prefix: str = "") -> list[str]:
    """Every key that starts with a prefix, in code point order."""
    return [reference.key for reference in dm.list(storage_type, prefix, limit=None, order_by="key")]


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until the condition holds."""
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, f"{what} did not happen within {PATIENCE:g} s"
        sleep(0.005)


def wait_until_gone(dm: DataManager, *references: DataReference) -> None:
    """Poll until none of the records exists."""
    for reference in references:
        wait_until(lambda named=reference: not dm.exists(named), f"expiry of {reference}")  # type: ignore[misc]


def is_recent(moment: datetime | None) -> bool:
    """Whether a time is aware, in UTC and of this test."""
    return (
        moment is not None
        and moment.utcoffset() == UTC.utcoffset(None)
        and abs((datetime.now(UTC) - moment).total_seconds()) < 60
    )
