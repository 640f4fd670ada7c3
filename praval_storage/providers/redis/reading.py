"""The read side: many keys in one round trip, bodies only when they are short or wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from praval_storage.errors import StoragePermissionError
from praval_storage.filters import EVERYTHING, Node, Order, paths
from praval_storage.keys import Passed
from praval_storage.providers.redis import foreign, layout
from praval_storage.providers.redis.connection import Connection
from praval_storage.providers.redis.keyspace import Keyspace, Narrowed, narrow
from praval_storage.providers.redis.scripts import READ
from praval_storage.pushdown import restrict
from praval_storage.records import Record, Stored
from praval_storage.scan import Scan, Scanned

CHUNK = 1_000
SHORT = 16 << 10
"""Longer values come without their data first: 1,000 of them in one reply would fill the memory."""
PAGE = 5_000
"""What one SCAN looks at; with the server's default of 10 a scan takes 13 times as long."""
_SKEW = timedelta(seconds=2)


class Raw(NamedTuple):
    """What is under a name.

    Attributes:
        value: The string or its beginning; of other types the name of the type.
        size: Bytes of the whole string; -1 for other types.
        left: Milliseconds to live; -1 = for ever, -2 = nothing is there.
    """

    value: bytes
    size: int
    left: int

    @property
    def whole(self) -> bool:
        """Whether all of it is here."""
        return len(self.value) == self.size

    @property
    def container(self) -> str | None:
        """The type of what is no string."""
        return self.value.decode() if self.size == -1 else None


class Reader:
    """Reads the records of one collection.

    Args:
        connection: Where they are.
        keyspace: What they are called.
        allow_pickle: Whether a foreign ``.pkl`` is one.
    """

    def __init__(self, connection: Connection, keyspace: Keyspace, *, allow_pickle: bool) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._allow_pickle = allow_pickle

    def read(self, keys: Sequence[str], *, bodies: bool) -> list[Stored | None]:
        """See ``RecordProvider.read``."""
        return [row for chunk in _chunks(keys, CHUNK) for row in self._read(chunk, bodies)]

    def scan(self, request: Scan) -> Scanned:
        """See ``CanQuery.scan``."""
        split = restrict(request.where, {"key"})
        narrowed = narrow(split.condition)
        by_key = request.order is not None and request.order.path.root == "key"
        passed = Passed()
        keys = self._keys(narrowed, split.condition, passed)
        if request.order is not None and by_key:
            keys = iter(sorted(keys, reverse=request.order.descending))
        return Scanned(
            self._rows(keys, request, split.residual),
            split.pushed,
            split.residual,
            ordered=by_key,
            index=self._index(narrowed),
            hint=_hint(narrowed, split.residual, request.order),
            left_out=passed.hint,
        )

    def names(self, pattern: bytes) -> Iterator[list[bytes]]:
        """The names that match a glob pattern, each once, page by page; some pages are empty.

        SCAN repeats names while the server's table grows or shrinks.
        """
        seen: set[bytes] = set()
        cursor = 0
        while True:
            with self._connection.calling() as client:
                cursor, page = client.scan(cursor, match=pattern, count=PAGE)
            fresh = [name for name in dict.fromkeys(page) if name not in seen]
            seen.update(fresh)
            yield fresh
            if int(cursor) == 0:
                return

    def parse(self, key: str, value: bytes) -> Stored:
        """The record a whole string is."""
        raw = Raw(value, len(value), -1)
        return self._record(key, raw) or self._foreign(key, raw)

    # Which keys

    def _keys(self, narrowed: Narrowed, condition: Node | None, passed: Passed) -> Iterator[str]:
        keys = self._candidates(narrowed, passed)
        if condition is None or narrowed.exact:
            return keys
        return (key for key in keys if condition.matches(Record(Stored(key, "json"), _nothing)))

    def _candidates(self, narrowed: Narrowed, passed: Passed) -> Iterator[str]:
        if narrowed.keys is not None:
            yield from self._keyspace.keys(map(self._keyspace.name, narrowed.keys))
            return
        for names in self.names(self._keyspace.pattern(narrowed.prefix)):
            keys = list(self._keyspace.keys(names))
            passed.over += len(names) - len(keys)
            yield from keys

    def _index(self, narrowed: Narrowed) -> str:
        if narrowed.keys is not None:
            return "keys"
        pattern = self._keyspace.pattern(narrowed.prefix).decode(errors="backslashreplace")
        return f"SCAN MATCH {pattern}"

    # What is under them

    def _rows(self, keys: Iterator[str], request: Scan, residual: Node) -> Iterator[Stored]:
        ordered_by_data = request.order is not None and request.order.path.root == "data"
        looks_at_data = any(path.root == "data" for path in paths(residual))
        bodies = request.bodies or ordered_by_data or looks_at_data
        size = CHUNK if request.limit is None else min(request.limit + 1, CHUNK)
        while chunk := list(islice(keys, size)):
            rows = self._look(chunk)
            for row, _ in rows:
                if row is not None:
                    yield row if bodies else row._replace(body=None)
            size = min(4 * size, CHUNK)

    def _read(self, keys: Sequence[str], bodies: bool) -> list[Stored | None]:
        found = self._look(keys)
        if not bodies:
            return [row for row, _ in found]
        missing = [
            (key, raw)
            for key, (row, raw) in zip(keys, found, strict=True)
            if row is not None and row.body is None
        ]
        filled = self._filled(missing) if missing else {}
        return [
            filled.get(key) if row is not None and row.body is None else row
            for key, (row, _) in zip(keys, found, strict=True)
        ]

    def _look(self, keys: Sequence[str]) -> list[tuple[Stored | None, Raw]]:
        """The records without data that is long or in a container."""
        raws = self._fetch([self._keyspace.name(key) for key in keys], SHORT)
        now = datetime.now(UTC)
        return [(self._row(key, raw, now), raw) for key, raw in zip(keys, raws, strict=True)]

    def _filled(self, missing: Sequence[tuple[str, Raw]]) -> dict[str, Stored | None]:
        """The same records with their data."""
        types = {self._keyspace.name(key): raw.container for key, raw in missing}
        with self._connection.calling() as client:
            contents = foreign.containers(
                client, {name: type_ for name, type_ in types.items() if type_ is not None}
            )
        filled: dict[str, Stored | None] = {}
        for key, raw in missing:
            name = self._keyspace.name(key)
            if raw.container is None:
                # One at a time: each may be as long as 512 MB.
                [raw] = self._fetch([name], layout.MAX_VALUE)
                filled[key] = self._row(key, raw, datetime.now(UTC))
            elif name in contents:
                row = self._row(key, raw, datetime.now(UTC))
                content = contents[name]
                filled[key] = row and row._replace(body=content.read(), types=content.types)
        return filled

    def _row(self, key: str, raw: Raw, now: datetime) -> Stored | None:
        if raw.left == -2:
            return None
        if raw.container is not None:
            row = Stored(key, "json") if raw.container in foreign.TYPES else None
        else:
            row = self._record(key, raw) or self._foreign(key, raw)
        return None if row is None else _with_expiry(row, raw.left, now)

    def _record(self, key: str, raw: Raw) -> Stored | None:
        if not raw.whole and (size := layout.head_size(raw.value)) is not None and size > len(raw.value):
            # More metadata than fits into a short value.
            [raw] = self._fetch([self._keyspace.name(key)], size + SHORT)
        return layout.parse(key, raw.value, whole=raw.whole)

    def _foreign(self, key: str, raw: Raw) -> Stored:
        format = foreign.format_of(key, raw.value, whole=raw.whole, allow_pickle=self._allow_pickle)
        return Stored(key, format, raw.value if raw.whole else None, size=raw.size)

    def _fetch(self, names: Sequence[bytes], most: int) -> list[Raw]:
        try:
            figures, values = self._connection.run(READ, names, [most])
        except StoragePermissionError as error:
            if "eval" not in error.message:
                raise
            return list(self._fetch_plainly(names))
        numbers = list(map(int, figures.split()))
        raws, start = [], 0
        for length, size, left in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
            raws.append(Raw(values[start : start + length], size, left))
            start += length
        return raws

    def _fetch_plainly(self, names: Sequence[bytes]) -> Iterator[Raw]:
        """What :meth:`_fetch` does, for users who may read and not run scripts: slower, and all of it."""
        with self._connection.calling() as client:
            pipeline = client.pipeline(transaction=False)
            for name in names:
                pipeline.get(name).type(name).pttl(name)
            replies = iter(pipeline.execute(raise_on_error=False))
        for value, type_, left in zip(replies, replies, replies, strict=True):
            if isinstance(value, Exception):
                yield Raw(type_, -1, left)
            else:
                yield Raw(value or b"", len(value or b""), left)


def _with_expiry(row: Stored, left: int, now: datetime) -> Stored:
    """The row with the expiry that Redis keeps, which others may have changed.

    Redis alone says what is over, so that the clocks of the server and of other writers do not matter. The
    exact time of the writer is taken when it says the same.
    """
    if left < 0:
        return row if row.expires_at is None else row._replace(expires_at=None)
    expires_at = now + timedelta(milliseconds=max(1, left))
    written = row.expires_at
    if written is not None and written > now and abs(written - expires_at) < _SKEW:
        return row
    return row._replace(expires_at=expires_at)


def _hint(narrowed: Narrowed, residual: Node, order: Order | None) -> str | None:
    everything = narrowed.keys is None and not narrowed.prefix
    if not everything or (residual == EVERYTHING and order is None):
        return None
    return (
        "Redis has no index on data or metadata, so every record was read: narrow it by key"
        ' ({"key": {"$prefix": ...}}) or keep what belongs together in a collection'
    )


def _chunks(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _nothing(_: Stored) -> None:
    """The key alone decides."""
