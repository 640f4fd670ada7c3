"""Transactions over real backends: after a failure at any point everything is what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backends import make

from praval_storage import DataManager, Transaction
from praval_storage.records import Stored

FIVE = ("filesystem", "s3", "postgresql", "redis", "qdrant-embedded")


class FailureError(Exception):
    """What goes wrong in the middle."""


@pytest.fixture
def dm(request: pytest.FixtureRequest) -> Iterator[DataManager]:
    """A manager with the five backends."""
    with DataManager({name: make(name, request) for name in FIVE}) as manager:
        yield manager


Facts = dict[tuple[str, str], tuple[Any, ...]]


def state(dm: DataManager) -> Facts:
    """Everything that is kept: bodies byte for byte, and all but the time and version of the last write."""
    return {
        (name, row.key): (
            row.format,
            row.body,
            row.types,
            row.metadata,
            row.created_at,
            row.expires_at and round(row.expires_at.timestamp(), 2),
            row.size,
        )
        for name in dm.providers
        for row in stored(dm.providers[name])
    }


def stored(provider: Any) -> list[Stored]:
    keys = sorted(record.key for record in DataManager({"it": provider}).query("it", limit=None).records)
    return [row for row in provider.read(keys) if row is not None]


def frame() -> pd.DataFrame:
    return pd.DataFrame({"n": [1, 2], "when": pd.to_datetime(["2026-01-01", None], utc=True)})


TYPED = {"when": datetime(2026, 1, 2, tzinfo=UTC), "price": Decimal("1.10"), "pair": (1, 2), "raw": b"\0\1"}
OLD: dict[str, Any] = {
    "plain": {"n": 1},
    "typed": TYPED,
    "table.parquet": frame(),
    "array": np.arange(6.0).reshape(2, 3),
    "notes.txt": "Grüße",
    "bytes": bytes(range(256)),
    "doomed": [1, {"a": None}],
    "short": {"lives": "an hour"},
}
"""What is there before, on every backend."""


def fill(dm: DataManager) -> None:
    for name in dm.providers:
        for key, value in OLD.items():
            ttl = 3_600 if key == "short" else None
            dm.store(value, name, key, {"tags": ["old", key], "at": TYPED["when"]}, ttl=ttl)


Write = Callable[[Transaction, str, str], object]
WRITES: list[Write] = [
    lambda tx, one, other: tx.store({"n": 2}, one, "plain", {"new": True}),
    lambda tx, one, other: tx.store("new", one, "new/one"),
    lambda tx, one, other: tx.store(frame() * 2 if False else [1], one, "table.parquet", ttl=60),
    lambda tx, one, other: tx.delete_by_key(one, "doomed"),
    lambda tx, one, other: tx.delete_by_key(one, "not there"),
    lambda tx, one, other: tx.store_many({"typed": 1, "many/1": 2, "array": np.arange(3)}, one, ttl=60),
    lambda tx, one, other: tx.copy(f"praval://{one}/bytes", other, key="copied"),
    lambda tx, one, other: tx.copy(f"praval://{one}/notes.txt", other, key="plain"),
    lambda tx, one, other: tx.move(f"praval://{one}/short", other, key="moved"),
    lambda tx, one, other: tx.store("again", one, "new/one", {"second": True}),
    lambda tx, one, other: tx.delete_many([f"praval://{one}/{key}" for key in ("bytes", "new/one", "nope")]),
    lambda tx, one, other: tx.store(bytes(range(256)) * 2, one, "bytes"),
]


@pytest.mark.parametrize("count", range(1, 2 * len(WRITES) + 1))
def test_a_failure_after_each_write_leaves_everything_as_it_was(dm: DataManager, count: int) -> None:
    fill(dm)
    before = state(dm)
    rest = iter(FIVE * len(WRITES))
    with pytest.raises(FailureError) as caught, dm.transaction() as tx:
        for write in (WRITES * 2)[:count]:
            one = next(rest)
            write(tx, one, next(rest))
        raise FailureError
    assert state(dm) == before
    assert tx.report is not None
    assert tx.report.ok
    assert "rolled back" in "".join(getattr(caught.value, "__notes__", []))
