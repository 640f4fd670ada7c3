"""Records as bytes, for backends that keep nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from praval_storage import SerializationError
from praval_storage.base import Item
from praval_storage.records import Draft, Stored
from praval_storage.serialization import decode, encode, encode_metadata
from praval_storage.testing.values import ROUND_TRIP_VALUES

WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
LATER = datetime(2026, 1, 3, tzinfo=UTC)


def stored(data: Any, metadata: dict[str, Any], expires_at: datetime | None = None) -> Stored:
    return Item(
        Draft("k", data, metadata, WHEN, expires_at), encode(data), encode_metadata(metadata)
    ).stored()


@pytest.mark.parametrize(
    "value, equality", [pytest.param(value, same, id=name) for name, value, same in ROUND_TRIP_VALUES]
)
def test_every_type_survives_as_bytes(value: Any, equality: Any) -> None:
    before = stored(value, {"when": WHEN, "n": 10**30, "text": "\u00fc\n{}"}, LATER)
    after = Stored.from_bytes("k", before.to_bytes())
    assert after == before
    assert equality(decode(after.content), value)


times = st.none() | st.datetimes(timezones=st.just(UTC))


@given(
    st.binary(), st.none() | st.dictionaries(st.text(), st.text() | st.lists(st.integers(0, 9))), times, times
)
def test_every_record_survives_as_bytes(
    body: bytes, types: dict[str, Any] | None, created: datetime | None, expires: datetime | None
) -> None:
    before = Stored("k", "bytes", body, types, b'{"a":1}', created, None, expires, len(body), "v")
    assert Stored.from_bytes("k", before.to_bytes()) == before


def test_a_person_can_read_them() -> None:
    head, body = stored({"n": 1}, {"kind": "x"}).to_bytes().splitlines()
    assert head.startswith(b'{"praval":1,"format":"json",')
    assert b'"created_at":"2026-01-02T03:04:05.000006+00:00"' in head
    assert body == b'{"n":1}'


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"{}", b"[]\n", b"null\n", b"\xff\n", b"7", stored(1, {}).to_bytes()[1:]]
)
def test_what_somebody_else_wrote_is_no_record(text: bytes) -> None:
    with pytest.raises(SerializationError, match="'k' is no record of praval_storage"):
        Stored.from_bytes("k", text)


def test_a_record_that_replaces_another_keeps_the_time_of_the_first_write() -> None:
    first = stored({"n": 1}, {})
    again = Item(Draft("k", 2, {}, LATER), encode(2), b"{}")
    assert (again.stored().created_at, again.stored().updated_at) == (LATER, LATER)
    assert (again.stored(first).created_at, again.stored(first).updated_at) == (WHEN, LATER)
    copy = Item(Draft("k", 2, {}, LATER, created_at=WHEN.replace(year=2020)), encode(2), b"{}")
    assert copy.stored(first).created_at == WHEN.replace(year=2020)
    assert first.version != again.stored().version
