"""Transactions: what a failing block wrote is undone, whatever the provider can."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from praval_storage.base import BaseStorageProvider, CanTransact, RecordProvider
from praval_storage.errors import KeyNotFoundError
from praval_storage.manager import DataManager
from praval_storage.records import Draft, Stored
from praval_storage.testing.conformance._suite import Suite, needs, record
from praval_storage.transaction import Transaction

KEYS = ("old", "deleted", "new", "a/b")


class TransactionTests(Suite):
    """``dm.transaction()``: all of it stays, or nothing."""

    def test_what_is_committed_stays(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many({"old": 1, "deleted": 1}, storage_type)
        with dm.transaction() as tx:
            write(tx, storage_type)
            assert values(tx, storage_type) == [{"n": 2}, None, [3], "four"]
        assert values(dm, storage_type) == [{"n": 2}, None, [3], "four"]
        assert tx.report is not None
        assert {str(change.outcome) for change in tx.report.changes} == {"committed"}

    def test_what_fails_is_undone(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many({"old": {"n": 1, "of": ["two", None]}, "deleted": "text"}, storage_type)
        tx = fail(dm, storage_type)
        assert values(dm, storage_type) == [{"n": 1, "of": ["two", None]}, "text", None, None]
        assert tx.report is not None
        assert {str(change.outcome) for change in tx.report.changes} == {"undone"}

    @needs(RecordProvider)
    def test_a_record_comes_back_with_all_that_belongs_to_it(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        for key in ("old", "deleted"):
            dm.store({"n": (1, b"\0")}, storage_type, key, {"tags": ["a"], "at": 1.5}, ttl=3_600)
        before = facts(provider)
        ends = [row and row.expires_at for row in provider.read(KEYS)]
        fail(dm, storage_type)
        assert facts(provider) == before
        for was, row in zip(ends, provider.read(KEYS), strict=True):
            if was is not None:
                assert row is not None
                assert row.expires_at is not None
                assert abs(was - row.expires_at) < timedelta(seconds=1)

    @needs(RecordProvider)
    def test_the_time_of_a_write_is_that_of_its_draft(self, provider: BaseStorageProvider) -> None:
        """A transaction knows its own writes by it."""
        when = datetime(2025, 1, 15, 12, 30, 15, 123_457, UTC)
        [result] = provider.write([Draft("old", 1, {}, when)])
        assert result.success
        assert record(provider, "old").updated_at == when
        assert record(provider, "old").created_at == when

    @needs(CanTransact)
    def test_nobody_else_sees_what_is_not_committed(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many({"old": 1, "deleted": 1}, storage_type)
        with dm.transaction() as tx:
            write(tx, storage_type)
            assert values(dm, storage_type) == [1, 1, None, None]


def write(tx: Transaction, storage_type: str) -> None:
    """Overwrite, delete, and store what is new."""
    tx.store({"n": 2}, storage_type, "old")
    assert tx.delete_by_key(storage_type, "deleted")
    tx.store_many({"new": [3], "a/b": "four"}, storage_type)


def fail(dm: DataManager, storage_type: str) -> Transaction:
    """A transaction that does all that and then fails."""
    tx = dm.transaction()
    with pytest.raises(KeyNotFoundError), tx:  # noqa: PT012 - what fails is the transaction
        write(tx, storage_type)
        tx.retrieve_by_key(storage_type, "nothing is here")
    return tx


def values(reader: DataManager | Transaction, storage_type: str) -> list[Any]:
    """What is under the keys."""
    return [reader.retrieve_by_key(storage_type, key, default=None) for key in KEYS]


def facts(provider: BaseStorageProvider) -> Sequence[Stored | None]:
    """What is under the keys, but for expiry and the time and version of the last write."""
    rows = provider.read(KEYS)
    return [row and row._replace(updated_at=None, version=None, expires_at=None) for row in rows]
