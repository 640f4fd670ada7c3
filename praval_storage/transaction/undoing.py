"""Compensation: each record becomes what it was, the last changed first, unless somebody else was there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import BinaryIO, NamedTuple, TypeVar

from praval_storage.base import (
    BaseStorageProvider,
    CanSearch,
    CanStream,
    HasForeign,
    Item,
    RecordProvider,
    StorageResult,
    boundary,
    raise_failure,
)
from praval_storage.copying.same import difference, difference_in_facts
from praval_storage.errors import KeyExistsError, StorageConnectionError, StorageError
from praval_storage.provider_set import ProviderSet
from praval_storage.records import MISSING, Draft, Stored
from praval_storage.serialization import Content, decode_metadata
from praval_storage.transaction.journal import (
    RECORDS,
    Entry,
    Journal,
    Saved,
    Slot,
    is_large,
    is_unchanged,
    mark,
    pieces,
)
from praval_storage.transaction.report import Fate

T = TypeVar("T")

_OPERATION = "roll back"
_BODIES = frozenset({"json", "text"})
"""Formats in which a provider that searches looks for a vector."""


class Verdict(NamedTuple):
    """What became of a record; ``fate`` is ``None`` when it had not been changed at all."""

    fate: Fate | None
    reason: str = ""
    error: StorageError | None = None


Verdicts = Iterator[tuple[Slot, Verdict]]

_UNTOUCHED = Verdict(None)
_UNDONE = Verdict(Fate.UNDONE)
_EXPIRED = Verdict(Fate.UNDONE, "what was there has expired meanwhile")
_VALUE = Verdict(Fate.UNDONE, "the value; this provider does not give out metadata")
_DATA = Verdict(Fate.UNDONE, "the data; others had put it there, without times and metadata")
_CHANGED = Verdict(Fate.LEFT, "changed by others since, left as it is")
_DELETED = Verdict(Fate.LEFT, "deleted by others since, left as it is")


class Undoing:
    """Undoes what is in a journal.

    Args:
        journal: What was.
        providers: How providers are called.
    """

    def __init__(self, journal: Journal, providers: ProviderSet) -> None:
        self._journal = journal
        self._providers = providers

    def run(self) -> Verdicts:
        """Undo, and say of each record what became of it; one that fails stops no other."""
        backwards = reversed(self._journal.entries.items())
        for provider, entries in groupby(backwards, key=lambda each: each[1].provider):
            size = RECORDS if isinstance(provider, RecordProvider) else 1
            while chunk := dict(islice(entries, size)):
                yield from self._chunk(provider, chunk)

    def _chunk(self, provider: BaseStorageProvider, chunk: dict[Slot, Entry]) -> Verdicts:
        left = dict(chunk)
        try:
            for slot, verdict in self._undo(provider, chunk):
                del left[slot]
                yield slot, verdict
        except StorageError as error:
            if len(chunk) == 1 or isinstance(error, StorageConnectionError):
                yield from ((slot, _failed(error)) for slot in left)
                return
            for slot, entry in left.items():  # one of them made the whole call fail
                yield from self._chunk(provider, {slot: entry})

    def _undo(self, provider: BaseStorageProvider, chunk: dict[Slot, Entry]) -> Verdicts:
        to_remove: dict[Slot, Verdict] = {}
        to_replace: dict[Slot, Saved] = {}
        to_restore: dict[Slot, Saved] = {}
        rows = self._now(provider, list(chunk))
        for (slot, entry), row in zip(chunk.items(), rows, strict=True):
            if (verdict := self._judged(entry, row)) is not None:
                yield slot, verdict
            elif (old := entry.remains) is None:
                to_remove[slot] = _UNDONE if entry.old is None else _EXPIRED
            else:
                (to_restore if row is None else to_replace)[slot] = old
        if to_remove:
            self._call([*to_remove], lambda: provider.remove([slot.key for slot in to_remove]))
            yield from to_remove.items()
        yield from self._put_back(provider, to_replace, overwrite=True)
        # Where nothing is now, nothing that somebody stores in this moment is to be replaced.
        yield from self._put_back(provider, to_restore, overwrite=False)

    # What is there now

    def _now(self, provider: BaseStorageProvider, slots: Sequence[Slot]) -> list[Stored | None]:
        keys = [slot.key for slot in slots]
        return self._call(slots, lambda: provider.read(keys, bodies=False))

    def _judged(self, entry: Entry, now: Stored | None) -> Verdict | None:
        """What there is to say of a record that is not to be touched; ``None`` when it is to be undone."""
        if now is None and entry.remains is None:
            return _UNDONE if entry.is_certain else _UNTOUCHED
        if not entry.is_certain and (not entry.explains(now) or _is_as_it_was(entry, now)):
            return _UNTOUCHED
        if entry.explains(now):
            return None
        if is_unchanged(entry.old, now):
            return _UNDONE
        return _CHANGED if now is not None else _DELETED

    # Putting back

    def _put_back(
        self, provider: BaseStorageProvider, olds: dict[Slot, Saved], *, overwrite: bool
    ) -> Verdicts:
        for those in _pieces(olds):
            results = self._written(provider, those, overwrite)
            rows = self._now(provider, list(those))
            for (slot, old), result, row in zip(those.items(), results, rows, strict=True):
                yield slot, self._checked(provider, slot, old, result, row)

    def _written(
        self, provider: BaseStorageProvider, olds: dict[Slot, Saved], overwrite: bool
    ) -> list[StorageResult]:
        def work() -> list[StorageResult]:
            if isinstance(provider, HasForeign) and all(old.is_foreign for old in olds.values()):
                rows = [old.stored._replace(body=self._body(old).read()) for old in olds.values()]
                return provider.restore(rows, overwrite=overwrite)
            if isinstance(provider, RecordProvider):
                items = [self._item(provider, old) for old in olds.values()]
                return provider.put(items, overwrite=overwrite)
            return provider.write([_draft(old, old.stored.data) for old in olds.values()])

        return self._call(list(olds), work)

    def _item(self, provider: RecordProvider, old: Saved) -> Item:
        """The record encoded as it was: byte for byte, and a pickle without unpickling it."""
        stored, source = old.stored, self._body(old)
        in_pieces = is_large(stored) and isinstance(provider, CanStream)
        content = Content(stored.format, source if in_pieces else source.read(), stored.types)
        if isinstance(provider, CanSearch) and stored.format in _BODIES:
            value = provider.load(stored._replace(body=content.read()))  # its vector is looked for there
            return Item(_draft(old, value), content, stored.metadata)
        return Item(_draft(old, content), content, stored.metadata)

    def _body(self, old: Saved) -> BinaryIO:
        if old.place is None:
            raise StorageError("The record has no body", key=old.stored.key)
        return self._journal.spool.open(old.place)

    def _checked(
        self, provider: BaseStorageProvider, slot: Slot, old: Saved, result: StorageResult, now: Stored | None
    ) -> Verdict:
        try:
            with boundary(provider, _OPERATION, slot.key):
                raise_failure(result)
                if not old.is_foreign:  # some of that nobody can read
                    _check(provider, old.stored, now)
        except KeyExistsError:
            return _CHANGED
        except StorageError as error:
            error.provider = slot.target.storage_type
            return _failed(error)
        if now is not None:
            self._journal.entries[slot].written.append(mark(now))
        if not isinstance(provider, RecordProvider):
            return _VALUE
        has_gained_times = now is not None and now.created_at is not None and old.stored.created_at is None
        return _DATA if has_gained_times and not old.is_foreign else _UNDONE

    def _call(self, slots: Sequence[Slot], work: Callable[[], T]) -> T:
        only = slots[0].key if len(slots) == 1 else None
        provider = self._journal.entries[slots[0]].provider

        def bounded() -> T:
            with boundary(provider, _OPERATION, only):  # there may be another one under its name by now
                return work()

        return self._providers.call(slots[0].target.storage_type, _OPERATION, only, bounded)


def _pieces(olds: dict[Slot, Saved]) -> Iterator[dict[Slot, Saved]]:
    slots = {slot.key: slot for slot in olds}
    for _, group in groupby(olds.values(), key=lambda old: old.is_foreign):
        for piece in pieces(old.stored for old in group):
            yield {slots[row.key]: olds[slots[row.key]] for row in piece}


def _is_as_it_was(entry: Entry, now: Stored | None) -> bool:
    if isinstance(entry.provider, RecordProvider) or entry.old is None or now is None:
        return is_unchanged(entry.old, now)
    return difference(entry.provider, entry.old.stored, now) is None


def _draft(old: Saved, data: object) -> Draft:
    stored, now = old.stored, datetime.now(UTC)
    metadata = decode_metadata(stored.metadata)
    return Draft(stored.key, data, metadata, now, stored.expires_at, None, stored.created_at)


def _check(provider: BaseStorageProvider, old: Stored, now: Stored | None) -> None:
    """Look whether a record that was put back is what it was."""
    if now is None:
        if old.expired(datetime.now(UTC)):
            return
        raise StorageError("The record was put back and is not there")
    what = difference_in_facts(old, now) if now.data is MISSING else difference(provider, old, now)
    if what is None and old.size not in {None, now.size}:
        what = "size"
    if what is None and old.created_at not in {None, now.created_at}:
        what = "created_at"
    if what is not None:
        raise StorageError(f"The record was put back, and its {what} is not what it was")


def _failed(error: StorageError) -> Verdict:
    return Verdict(Fate.FAILED, str(error), error)
