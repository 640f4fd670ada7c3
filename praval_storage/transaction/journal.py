"""What a transaction has to know to undo its writes: each record as it was, and what it did to it since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import NamedTuple

from praval_storage.base import BaseStorageProvider, CanStream, HasForeign, RecordProvider, StorageResult
from praval_storage.errors import StorageError
from praval_storage.records import MISSING, Stored
from praval_storage.transaction.spool import Place, Spool
from praval_storage.writing import Target

RECORDS = 256
"""Records that are remembered or put back in one call."""
BYTES = 32 << 20
"""Bytes of their bodies."""
LARGE = 8 << 20
"""A body beyond this goes in pieces, where the provider can."""


class Slot(NamedTuple):
    """Where one record is."""

    target: Target
    key: str


class Mark(NamedTuple):
    """What a write is known by, as far as its provider keeps it."""

    updated_at: datetime | None
    version: str | None = None
    is_blind: bool = False
    """Whether it keeps neither times nor versions."""


class Saved(NamedTuple):
    """A record as it was.

    Attributes:
        stored: The record; its body is elsewhere.
        place: Where its body is in the spool; ``None`` for a value that has no encoded body.
        is_foreign: Whether the body is one that ``HasForeign.restore`` takes.
    """

    stored: Stored
    place: Place | None = None
    is_foreign: bool = False


@dataclass(slots=True)
class Entry:
    """What was under a key, and what the transaction did to it.

    Attributes:
        provider: Where it is.
        old: The record as it was; ``None`` = there was none.
        written: What the writes of the transaction to this key are known by. Providers share it: two may be
            names of one place, and what was put back through one of them is to be known to the other.
        ends: When what it wrote expires, if it does.
        is_deleted: Whether it has deleted the record.
        is_certain: Whether any of its calls has succeeded; of one that failed nobody knows how far it came.
    """

    provider: BaseStorageProvider
    old: Saved | None
    written: list[Mark]
    ends: list[datetime] = field(default_factory=list)
    is_deleted: bool = False
    is_certain: bool = False

    @property
    def remains(self) -> Saved | None:
        """The record that is to be there again; ``None`` also if it has expired meanwhile."""
        return None if self.old is None or self.old.stored.expired(datetime.now(UTC)) else self.old

    def explains(self, now: Stored | None) -> bool:
        """Whether what is there now is what the transaction left there."""
        if now is None:
            return self.is_deleted or any(end <= datetime.now(UTC) for end in self.ends)
        return any(self._is(mark, now) for mark in self.written)

    def begin(self, mark: Mark, end: datetime | None) -> None:
        """Something is about to be written."""
        self.written.append(mark)
        if end is not None:
            self.ends.append(end)

    def finish(self, mark: Mark, result: StorageResult) -> None:
        """It has been written, and is known better now."""
        self.written.remove(mark)
        is_blind = result.version is None and result.created_at is None
        self.written.append(Mark(mark.updated_at, result.version, is_blind))
        self.is_certain = True

    def _is(self, mark: Mark, now: Stored) -> bool:
        if not isinstance(self.provider, RecordProvider):
            return True
        if mark.version is not None and mark.version != now.version:
            return False
        if now.updated_at is not None:
            return mark.updated_at == now.updated_at
        return mark.version is not None or mark.is_blind


class Journal:
    """The first state of everything that a transaction changes.

    Attributes:
        entries: By place, in the order in which they were first changed.
        spool: Their bodies.
    """

    def __init__(self) -> None:
        self.entries: dict[Slot, Entry] = {}
        self._written: dict[str, list[Mark]] = {}
        self.spool = Spool()

    def remember(self, target: Target, provider: BaseStorageProvider, keys: Iterable[str]) -> list[Entry]:
        """The entries of records that are about to be changed.

        A record that somebody else has changed after the transaction did is remembered anew: that is what is
        to be put back.
        """
        slots = [Slot(target, key) for key in dict.fromkeys(keys)]
        # Where all that can be read is the value there is nothing to tell a change by.
        asked = [slot for slot in slots if isinstance(provider, RecordProvider) or slot not in self.entries]
        rows = provider.read([slot.key for slot in asked], bodies=False) if asked else []
        fresh = {slot: row for slot, row in zip(asked, rows, strict=True) if not self._is_known(slot, row)}
        saved = self._save_foreign(provider, {slot.key: row for slot, row in fresh.items()})
        ours = [row for slot, row in fresh.items() if row is not None and slot.key not in saved]
        saved |= self._save(provider, ours)
        for slot in fresh:
            self.entries[slot] = Entry(provider, saved.get(slot.key), self._written.setdefault(slot.key, []))
        return [self.entries[slot] for slot in slots]

    def _is_known(self, slot: Slot, now: Stored | None) -> bool:
        entry = self.entries.get(slot)
        return entry is not None and (entry.explains(now) or is_unchanged(entry.old, now))

    def _save(self, provider: BaseStorageProvider, rows: Sequence[Stored]) -> dict[str, Saved]:
        saved: dict[str, Saved] = {}
        for piece in pieces(rows):
            if isinstance(provider, CanStream) and is_large(piece[0]):
                saved[piece[0].key] = self._stream(provider, piece[0])
            elif piece[0].data is not MISSING:
                saved |= {row.key: Saved(row) for row in piece}
            else:
                whole = provider.read([row.key for row in piece])
                saved |= {row.key: self._keep(row) for row in whole if row is not None}
        return saved

    def _save_foreign(
        self, provider: BaseStorageProvider, rows: Mapping[str, Stored | None]
    ) -> dict[str, Saved]:
        foreign = {key: row for key, row in rows.items() if row is None or row.created_at is None}
        if not foreign or not isinstance(provider, HasForeign):
            return {}
        return {key: self._keep(row, is_foreign=True) for key, row in provider.dump(foreign).items()}

    def _keep(self, row: Stored, *, is_foreign: bool = False) -> Saved:
        if row.data is not MISSING:
            return Saved(row)
        place = self.spool.keep(BytesIO(row.content.read()))
        return Saved(row._replace(body=None), place, is_foreign)

    def _stream(self, provider: CanStream, row: Stored) -> Saved:
        with provider.open(row.key) as body:
            place = self.spool.keep(body)
        [now] = provider.read([row.key], bodies=False)
        if now is None or mark(now) != mark(row):
            raise StorageError(
                "Somebody else has changed the record while it was read for a transaction, and it was not"
                " written",
                hint="Try again",
            )
        return Saved(row._replace(body=None), place)


def mark(stored: Stored) -> Mark:
    """What a record is known by."""
    return Mark(stored.updated_at, stored.version)


def is_unchanged(old: Saved | None, now: Stored | None) -> bool:
    """Whether a record is surely what it was: times and versions say so."""
    if old is None or now is None:
        return old is None and now is None
    return mark(old.stored) == mark(now) != Mark(None)


def is_large(row: Stored) -> bool:
    """Whether a body is to go in pieces."""
    return (row.size or 0) > LARGE


def pieces(rows: Iterable[Stored]) -> Iterator[list[Stored]]:
    """As many records together as their bodies fit in memory; a large one is alone."""
    piece: list[Stored] = []
    weight = 0
    for row in rows:
        size = row.size or 0
        if piece and (len(piece) == RECORDS or weight + size > BYTES or is_large(row) or is_large(piece[0])):
            yield piece
            piece, weight = [], 0
        piece.append(row)
        weight += size
    if piece:
        yield piece
