"""Looking around in a database: SCAN in small steps, the keys up to their next delimiter as places."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from praval_storage.display import counted_text
from praval_storage.errors import ConfigurationError
from praval_storage.keys import Passed
from praval_storage.paging import Batch, Entry, Source, collect, in_any_order, named, naturally
from praval_storage.places import Count, Look, Measured, Place, Seen, bad_token, from_token, to_token
from praval_storage.providers.redis.connection import Connection
from praval_storage.providers.redis.keyspace import SEPARATOR, Keyspace, caseless_glob
from praval_storage.providers.redis.reading import PAGE, Reader
from praval_storage.records import Stored

SLASH = "/"
"""Ends the path of a place where somebody asks for keys that have it between their parts, as elsewhere."""
COUNT = 500
"""Keys that one SCAN looks at."""
REMEMBERED = 2_000
"""Entries that a token knows to have been shown."""
CERTAIN = 100_000
"""Keys that are counted exactly: SCAN may repeat some of those beyond."""
_MOST_PAGES = 200
_TOO_MANY = "SCAN knows no order, and no more than {} keys are sorted"
_DIGEST = 8
_LISTED = frozenset({"key"})

logger = logging.getLogger("praval_storage")


def look(source: Source, connection: Connection, keyspace: Keyspace, request: Look) -> Seen:
    """One page of the keys with a prefix: as many SCANs as the budget allows, then one look at the rows."""
    delimiter = request.delimiter or (SLASH if request.path.endswith(SLASH) else SEPARATOR)
    request = replace(request, delimiter=delimiter, token=_unmarked(request.token, delimiter))
    with connection.calling() as client:
        size = int(client.dbsize())
    sorts = request.order is not None and size <= request.budget
    scan = _Scan(connection, keyspace, replace(request, token=None) if sorts else request)
    sift = named(source, request, _LISTED)
    if request.order is not None and sorts:
        every = (entry for batch in scan.batches() for entry in batch.entries)
        seen = in_any_order(source, every, sift, scan.prefix, request.order, request)
    else:
        page = collect(request, scan.prefix, scan.batches(), scan.position, sift)
        seen = page.seen(scan.prefix).unordered(request.order, _TOO_MANY.format(counted_text(request.budget)))
    return replace(
        seen,
        places=naturally(map(scan.counted, seen.places)),
        next=None if seen.next is None else to_token([delimiter, seen.next]),
        scanned=min(scan.scanned, size),
        extent=Count(size, "estimate"),
        statement=f"SCAN MATCH {scan.pattern.decode(errors='backslashreplace')} COUNT {COUNT}",
        types=_types(connection, keyspace, seen.rows),
        delimiter=delimiter,
    ).noted(scan.note)


def collections(reader: Reader, keyspace: Keyspace) -> list[str]:
    """What stands before the first separator of the keys: of a million of them at most."""
    inside = f"{keyspace.collection}{SEPARATOR}" if keyspace.collection else ""
    found: set[str] = set()
    for page, names in enumerate(reader.names(keyspace.pattern(rest=b"*:*"))):
        firsts = (key.partition(SEPARATOR)[0] for key in keyspace.keys(names))
        found.update(inside + first for first in firsts if first)
        if page == _MOST_PAGES:
            logger.warning("redis: collections are those of the first %d keys", page * PAGE)
            break
    return sorted(found)


def measure(connection: Connection, keyspace: Keyspace, path: str) -> Iterator[Measured]:
    """Count the keys with a prefix; their sizes would have to be asked for one by one.

    The path of a place ends with its delimiter, whichever that is, and none has letters or digits.
    """
    prefix = _as_prefix(path, SEPARATOR) if path[-1:].isalnum() else path
    pattern, cursor, number = keyspace.pattern(prefix), 0, 0
    known: set[str] = set()
    while True:
        with connection.calling() as client:
            cursor, names = client.scan(cursor, match=pattern, count=10 * COUNT)
        for key in keyspace.keys(names):
            number += key not in known
            if len(known) < CERTAIN:
                known.add(key)
        done = int(cursor) == 0
        yield Measured(Count(number, "exact" if number < CERTAIN else "estimate"), None, done)
        if done:
            return


class _Scan:
    """A scan from a token on.

    A token holds the cursor, what the last SCAN found beyond its page, and digests of what was shown before:
    SCAN repeats keys when the server's table grows or shrinks meanwhile.
    """

    def __init__(self, connection: Connection, keyspace: Keyspace, request: Look) -> None:
        self._delimiter = request.delimiter or SEPARATOR
        self.prefix = _as_prefix(request.path, self._delimiter)
        self.pattern = keyspace.pattern(self.prefix, caseless_glob(request.text))
        self.scanned = 0
        self._connection, self._keyspace = connection, keyspace
        self._cursor, self._left, self._shown = _state(request)
        self._is_all = request.token is None
        self._has_text = bool(request.text)
        self._batch: list[str] = []
        self._met: set[bytes] = set()
        self._counts: Counter[str] = Counter()
        self._passed = Passed()

    @property
    def note(self) -> str:
        """What the page does not show, or may show again."""
        again = "a key may be shown again if Redis' table grows or shrinks meanwhile"
        return "; ".join(filter(None, [again * (len(self._shown) > REMEMBERED), self._passed.note()]))

    def batches(self) -> Iterator[Batch]:
        """What is left of the last SCAN, then one SCAN after the other."""
        if self._left:
            yield self._batched(self._left, 0)
        while self._cursor or (self._is_all and not self.scanned):
            with self._connection.calling() as client:
                cursor, names = client.scan(self._cursor, match=self.pattern, count=COUNT)
            self._cursor = int(cursor)
            self.scanned += COUNT
            yield self._batched(list(self._fresh(names)), COUNT)

    def position(self, entry: Entry) -> Any:
        """Where to go on after an entry of the present batch: with the rest of it, then with the cursor."""
        name = entry.path if isinstance(entry, Place) else entry.key
        return self._token(self._batch[self._batch.index(name) + 1 :])

    def counted(self, place: Place) -> Place:
        """The place with how many of its keys were met for this page."""
        number = self._counts[place.path]
        if not number or self._has_text:
            return place
        is_all = self._is_all and not self._cursor
        return replace(place, count=Count(number, "exact" if is_all else "at least"))

    def _batched(self, found: list[str], scanned: int) -> Batch:
        self._batch = found
        entries = list(map(self._entry, found))
        return Batch(entries, scanned, self._token([]) if self._cursor else None)

    def _entry(self, name: str) -> Entry:
        label, delimiter, _ = name[len(self.prefix) :].partition(self._delimiter)
        return Place(name, label, "prefix", parent=True, records=True) if delimiter else Stored(name, "json")

    def _fresh(self, names: Sequence[bytes]) -> Iterator[str]:
        """Rows, and the places others are in, that have not been shown."""
        new = [name for name in dict.fromkeys(names) if name not in self._met]
        self._met.update(new)
        keys = list(self._keyspace.keys(new))
        self._passed.over += len(new) - len(keys)
        for key in keys:
            label, delimiter, _ = key[len(self.prefix) :].partition(self._delimiter)
            name = f"{self.prefix}{label}{delimiter}"
            if delimiter:
                self._counts[name] += 1
            if (digest := _digest(name)) not in self._shown:
                self._shown[digest] = None
                yield name

    def _token(self, left: list[str]) -> Any:
        shown = b"".join([*self._shown][-REMEMBERED:])
        return [self._cursor, left, b64encode(shown).decode()]


def _unmarked(token: str | None, delimiter: str) -> str | None:
    """The token of a scan or an order, without the delimiter it is for."""
    match from_token(token):
        case None:
            return None
        case [str(used), str(inner)] if used == delimiter:
            return inner
        case [str(used), str()]:
            raise ConfigurationError(
                f"The token is of a listing with the delimiter {used!r}, and this one has {delimiter!r}",
                hint="Begin again without a token",
            )
        case _:
            raise bad_token()


def _state(request: Look) -> tuple[int, list[str], dict[bytes, None]]:
    match from_token(request.token):
        case None:
            return 0, [], {}
        case [int(cursor), list(left), str(packed)] if all(isinstance(name, str) for name in left):
            try:
                shown = b64decode(packed, validate=True)
            except (NoBase64, ValueError):
                raise bad_token() from None
            parts = range(0, len(shown), _DIGEST)
            return cursor, left, dict.fromkeys(shown[at : at + _DIGEST] for at in parts)
        case _:
            raise bad_token()


def _digest(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=_DIGEST).digest()


def _as_prefix(path: str, delimiter: str) -> str:
    return path if not path or path.endswith(delimiter) else f"{path}{delimiter}"


def _types(connection: Connection, keyspace: Keyspace, rows: Sequence[Stored]) -> dict[str, str]:
    if not rows:
        return {}
    with connection.calling() as client:
        pipeline = client.pipeline(transaction=False)
        for row in rows:
            pipeline.type(keyspace.name(row.key))
        return {row.key: found.decode() for row, found in zip(rows, pipeline.execute(), strict=True)}
