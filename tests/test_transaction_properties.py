"""Transactions, whatever is done in them and wherever they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from backends import make
from conftest import cases
from custom_provider import MyCustomProvider
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kept import Kept, state

from praval_storage import DataManager, StorageError
from praval_storage.operations import Operations
from praval_storage.testing import InMemoryProvider, strategies

Step = Callable[[Operations], object]
KEYS = ("a", "b", "c/d", "e.json")
NAMES = ("one", "two", "custom")


class MyError(Exception):
    """What goes wrong in the middle."""


def steps(names: Sequence[str]) -> st.SearchStrategy[Step]:
    """One call that writes; it may fail."""
    name, key = st.sampled_from(names), st.sampled_from(KEYS)
    value = strategies.values(json_only=False, max_leaves=4)
    uri = st.builds("praval://{}/{}".format, name, key)
    metadata = st.none() | st.dictionaries(st.sampled_from(["m", "n"]), strategies.scalars(), max_size=2)
    return st.one_of(
        st.builds(_store, name, key, value, metadata, st.sampled_from([None, 3_600]), st.booleans()),
        st.builds(_store_many, name, st.dictionaries(key, value, max_size=3)),
        st.builds(_delete_many, st.lists(uri, max_size=4)),
        st.builds(_copy, uri, name, key, st.booleans()),
    )


def _store(name: str, key: str, value: Any, metadata: Any, ttl: int | None, overwrite: bool) -> Step:
    return lambda on: on.store(value, name, key, metadata, ttl=ttl, overwrite=overwrite)


def _store_many(name: str, values: dict[str, Any]) -> Step:
    return lambda on: on.store_many(values, name)


def _delete_many(uris: list[str]) -> Step:
    return lambda on: on.delete_many(uris)


def _copy(uri: str, name: str, key: str, moving: bool) -> Step:
    return lambda on: (on.move if moving else on.copy)(uri, name, key=key)


def run(on: Operations, todo: Sequence[Step]) -> None:
    for step in todo:
        with suppress(StorageError):
            step(on)


def fail(dm: DataManager, todo: Sequence[Step]) -> None:
    with dm.transaction() as tx:
        run(tx, todo)
        raise MyError


def everything(dm: DataManager) -> tuple[Kept, dict[str, Any]]:
    """What is kept; of the provider of plain values the values, compared as text because of NaN."""
    custom = dm.providers["custom"]
    assert isinstance(custom, MyCustomProvider)
    kept = state(DataManager({name: dm.providers[name] for name in ("one", "two")}))
    return kept, {key: repr(value) for key, (value, _) in custom.kept.items()}


@settings(max_examples=cases(400))
@given(st.lists(steps(NAMES), max_size=8), st.lists(steps(NAMES), min_size=1, max_size=12))
def test_after_any_failure_everything_is_as_it_was(first: list[Step], then: list[Step]) -> None:
    dm = DataManager({"one": InMemoryProvider(), "two": InMemoryProvider(), "custom": MyCustomProvider({})})
    run(dm, first)
    before = everything(dm)
    with pytest.raises(MyError):
        fail(dm, then)
    assert everything(dm) == before


@settings(max_examples=cases(200))
@given(st.lists(steps(NAMES), max_size=12))
def test_what_is_committed_is_what_the_manager_would_have_done(todo: list[Step]) -> None:
    def made() -> DataManager:
        return DataManager(
            {"one": InMemoryProvider(), "two": InMemoryProvider(), "custom": MyCustomProvider({})}
        )

    def values(dm: DataManager) -> dict[Any, Any]:
        kept, custom = everything(dm)
        return {place: facts[:4] for place, facts in kept.items()} | custom

    plain, transacted = made(), made()
    run(plain, todo)
    with transacted.transaction() as tx:
        run(tx, todo)
    assert values(plain) == values(transacted)


REAL = ("filesystem", "s3", "postgresql", "redis", "qdrant-embedded")


@pytest.fixture
def real(request: pytest.FixtureRequest) -> Iterator[DataManager]:
    """A manager with real backends."""
    with DataManager({name: make(name, request) for name in REAL}) as manager:
        yield manager


@settings(max_examples=cases(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps(REAL), max_size=5), st.lists(steps(REAL), min_size=1, max_size=10))
def test_after_any_failure_real_backends_are_as_they_were(
    real: DataManager, first: list[Step], then: list[Step]
) -> None:
    run(real, first)
    before = state(real)
    with pytest.raises(MyError):
        fail(real, then)
    assert state(real) == before
