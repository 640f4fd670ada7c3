"""Transactions over real backends: after a failure at any point everything is what it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import cycle, islice
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
import redis
from backends import BACKENDS, make

from praval_storage import DataManager, Transaction
from praval_storage.providers import FsspecProvider, PostgreSQLProvider, RedisProvider, S3Provider
from praval_storage.records import Stored

FIVE = ("filesystem", "s3", "postgresql", "redis", "qdrant-embedded")


class MyError(Exception):
    """What goes wrong in the middle."""


@pytest.fixture
def dm(request: pytest.FixtureRequest) -> Iterator[DataManager]:
    """A manager with the five backends, and records in each."""
    with DataManager({name: make(name, request) for name in FIVE}) as manager:
        fill(manager)
        yield manager


def frame() -> pd.DataFrame:
    return pd.DataFrame({"n": [1, 2], "when": pd.to_datetime(["2026-01-01", None], utc=True)})


WHEN = datetime(2026, 1, 2, tzinfo=UTC)
OLD: dict[str, Any] = {
    "plain": {"n": 1},
    "typed": {"when": WHEN, "price": Decimal("1.10"), "pair": (1, 2), "raw": b"\0\1", "big": 2**70},
    "table.parquet": frame(),
    "array": np.arange(6.0).reshape(2, 3),
    "notes.txt": "Grüße",
    "bytes": bytes(range(256)),
    "doomed": [1, {"a": None}],
    "short": {"lives": "an hour"},
    "near": {"vector": [0.25, -3.0, 1e-3], "label": "x"},
}
"""What is there before, on every backend."""


def fill(dm: DataManager) -> None:
    for name in dm.providers:
        for key, value in OLD.items():
            ttl = 3_600 if key == "short" else None
            dm.store(value, name, key, {"tags": ["old", key], "at": WHEN}, ttl=ttl)


def state(dm: DataManager) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Everything that is kept, byte for byte, but for the time and the version of the last write."""
    return {
        (name, row.key): (*row[:6], row.expires_at and round(row.expires_at.timestamp(), 2), row.size)
        for name in dm.providers
        for row in (each._replace(updated_at=None) for each in stored(dm, name))
    }


def stored(dm: DataManager, name: str) -> list[Stored]:
    provider: Any = dm.providers[name]
    keys = [reference.key for reference in dm.list(name, limit=None, order_by="key")]
    rows: list[Stored] = provider.read(keys)
    return rows


Write = Callable[[Transaction, str, str], object]
WRITES: Sequence[Write] = [
    lambda tx, one, other: tx.store({"n": 2}, one, "plain", {"new": True}),
    lambda tx, one, other: tx.store("new", one, "new/one"),
    lambda tx, one, other: tx.store([1], one, "table.parquet", ttl=60),
    lambda tx, one, other: tx.delete_by_key(one, "doomed"),
    lambda tx, one, other: tx.delete_by_key(one, "not there"),
    lambda tx, one, other: tx.store_many({"typed": 1, "many/1": 2, "array": np.arange(3)}, one, ttl=60),
    lambda tx, one, other: tx.copy(f"praval://{one}/bytes", other, key="copied"),
    lambda tx, one, other: tx.copy(f"praval://{one}/notes.txt", other, key="plain"),
    lambda tx, one, other: tx.move(f"praval://{one}/near", other, key="moved"),
    lambda tx, one, other: tx.store({"vector": [1.0, 2.0, 3.0]}, other, "near"),
    lambda tx, one, other: tx.store("again", one, "new/one", {"second": True}),
    lambda tx, one, other: tx.delete_many([f"praval://{one}/{key}" for key in ("typed", "new/one", "no")]),
    lambda tx, one, other: tx.store(frame(), one, "short", ttl=10),
]


def fail_after(tx: Transaction, count: int) -> None:
    """The first ``count`` writes, each to the next provider, and then it fails."""
    names = cycle(FIVE)
    with tx:
        for write in islice(cycle(WRITES), count):
            one = next(names)
            write(tx, one, next(names))
        raise MyError


def test_a_failure_after_each_of_the_first_writes_leaves_everything_as_it_was(dm: DataManager) -> None:
    before = state(dm)
    for count in range(1, 2 * len(WRITES) + 1):
        tx = dm.transaction()
        with pytest.raises(MyError) as caught:
            fail_after(tx, count)
        assert state(dm) == before, count
        assert tx.report is not None
        assert {str(change.outcome) for change in tx.report.changes} == {"undone"}, count
        assert len(tx.report.changes) >= count - 2
        assert "rolled back" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", BACKENDS)
def test_every_write_on_every_backend_is_undone(name: str, request: pytest.FixtureRequest) -> None:
    with DataManager({"one": make(name, request), "other": make("filesystem", request)}) as dm:
        fill(dm)
        before, native_before = state(dm), native(dm.providers["one"])

        def work(writes: Sequence[Write]) -> None:
            with dm.transaction() as tx:
                for write in writes:
                    write(tx, "one", "other")
                    write(tx, "other", "one")
                raise MyError

        for writes in [*([write] for write in WRITES), WRITES]:
            with pytest.raises(MyError):
                work(writes)
            assert state(dm) == before
            assert native(dm.providers["one"]) == native_before


def native(provider: Any) -> dict[Any, Any]:
    """What the backend itself has, where another client can look, without the time of the last write."""
    if isinstance(provider, PostgreSQLProvider):
        with psycopg.connect(provider.settings.dsn or "") as connection:
            table = psycopg.sql.Identifier(provider.settings.schema or "", provider.settings.table)
            rows = connection.execute(
                psycopg.sql.SQL("SELECT key, t::text FROM {} t").format(table)
            ).fetchall()
            return dict(rows)
    if isinstance(provider, RedisProvider):
        with redis.Redis.from_url(provider.settings.url or "") as client:
            names = list(client.scan_iter(f"{provider.collection}*"))
            return {name: re.sub(rb'"updated_at":"[^"]*"', b"", client.get(name), count=1) for name in names}
    if isinstance(provider, S3Provider | FsspecProvider):
        store = provider._store
        return {entry.name: entry.size for entry in store.entries("")}
    return {}
