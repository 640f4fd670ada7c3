"""From one provider to another: the calls a copy makes on either side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from praval_storage.base import BaseStorageProvider, StorageResult, boundary
from praval_storage.copying.parcels import Parcel, failed
from praval_storage.errors import KeyNotFoundError, StorageError
from praval_storage.provider_set import ProviderSet
from praval_storage.records import MISSING, Draft, Stored
from praval_storage.results import Outcome
from praval_storage.serialization import decode_metadata
from praval_storage.writing import Target, reference_to

T = TypeVar("T")
Outcomes = dict[str, Outcome]
"""Outcomes by the keys of the copies."""


class Job(NamedTuple):
    """Where records go, and how.

    Attributes:
        target: Storage type and collection of the copies.
        overwrite: Whether existing keys are replaced.
        moving: Whether the originals go once their copies are checked.
    """

    target: Target
    overwrite: bool
    moving: bool

    @property
    def operation(self) -> str:
        """What the call is called in messages."""
        return "move" if self.moving else "copy"


class Side(NamedTuple):
    """A provider, and where the manager finds it."""

    target: Target
    provider: BaseStorageProvider


class Loaded(NamedTuple):
    """A record that was read, and the record that is to be written."""

    parcel: Parcel
    stored: Stored
    draft: Draft


class Route:
    """From one provider to another.

    Args:
        providers: All providers.
        source: Where the records are.
        job: Where they go, and how.
    """

    def __init__(self, providers: ProviderSet, source: Target, job: Job) -> None:
        self._providers = providers
        self._operation = job.operation
        self.job = job
        self.source = Side(source, providers.find(*source))
        self.target = Side(job.target, providers.find(*job.target))
        self._writer = providers.writer(*job.target)

    def read(self, side: Side, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        """The records under some keys, in order."""
        return self.call(side, keys, lambda: side.provider.read(keys, bodies=bodies)) if keys else []

    def write(self, drafts: Sequence[Draft], *, again: bool) -> list[StorageResult]:
        """Write copies.

        Args:
            drafts: What to write.
            again: Whether a second attempt would send the same, after a lost connection.
        """
        overwrite = self.job.overwrite

        def work() -> list[StorageResult]:
            return self._writer.write(drafts, overwrite=overwrite)

        keys = [draft.key for draft in drafts]
        return self.call(self.target, keys, work, again=again and overwrite) if keys else []

    def call(self, side: Side, keys: Sequence[str], work: Callable[[], T], *, again: bool = True) -> T:
        """Do one piece of work on one side."""
        only = keys[0] if len(keys) == 1 else None
        return self._providers.call(side.target.storage_type, self._operation, only, work, again=again)

    @contextmanager
    def noting(self, outcomes: Outcomes, side: Side, parcel: Parcel) -> Iterator[None]:
        """What fails with one record inside is its outcome, and stops no other."""
        key = parcel.reference.key if side is self.source else parcel.key
        try:
            with boundary(side.provider, self._operation, key):
                yield
        except StorageError as error:
            error.provider = side.target.storage_type
            outcomes[parcel.key] = Outcome(parcel.reference.key, None, error)

    def loaded(self, parcel: Parcel, stored: Stored | None, data: Callable[[Stored], Any]) -> Loaded:
        """A record that was read, with the draft of its copy.

        Raises:
            KeyNotFoundError: It is not there, or not any more.
        """
        if stored is None:
            raise KeyNotFoundError(f"No record under {parcel.reference.key!r}")
        metadata, now = decode_metadata(stored.metadata), datetime.now(UTC)
        format = stored.format if stored.data is MISSING else None
        draft = Draft(parcel.key, data(stored), metadata, now, stored.expires_at, format, stored.created_at)
        return Loaded(parcel, stored, draft)

    def copied(self, loaded: Loaded, result: StorageResult) -> Outcome:
        """The outcome for a record that is on the other side."""
        return Outcome(loaded.stored.key, reference_to(self.job.target, loaded.draft, result))

    def may_skip(self, loaded: Loaded, found: Stored) -> bool:
        """Whether an equal record on the other side is surely a copy, or the very record itself.

        When a record is moved, one of the same version could be the original under another name of the same
        place: it is written again, and then the original is seen to have changed and stays.
        """
        is_twin = version(loaded.stored) == version(found)
        return not self.job.moving or not is_twin or self._is_itself(loaded)

    def finish(self, copied: Sequence[Loaded], outcomes: Outcomes) -> None:
        """After a move, delete the originals that are still what was copied.

        What cannot be deleted has failed; so has what somebody else took or deleted first: of those who move
        the same record at once, one is told that it worked.
        """
        old = {
            loaded.stored.key: loaded
            for loaded in copied
            if self.job.moving and outcomes[loaded.parcel.key].ok and not self._is_itself(loaded)
        }
        try:
            rows = self.read(self.source, [*old], bodies=False)
            same = [row.key for row in rows if row and version(row) == version(old[row.key].stored)]
            taken = old.keys() - {row.key for row in rows if row}
            taken |= {key for key, was_there in zip(same, self._removed(same), strict=True) if not was_there}
        except StorageError as error:  # the copies are there: to do all of it again would not help
            outcomes |= failed([loaded.parcel for loaded in old.values()], error)
            return
        for parcel in (old[key].parcel for key in taken):
            with self.noting(outcomes, self.source, parcel):
                raise _taken(parcel.key)

    def _removed(self, keys: Sequence[str]) -> Sequence[bool]:
        remover = self._providers.writer(*self.source.target)
        # A second attempt could not tell what the first one deleted from what somebody else did.
        return self.call(self.source, keys, lambda: remover.remove(keys), again=False) if keys else ()

    def _is_itself(self, loaded: Loaded) -> bool:
        return self.source.provider is self.target.provider and loaded.stored.key == loaded.parcel.key


def as_result(found: Stored) -> StorageResult:
    """What writing a record that is there would have answered."""
    return StorageResult(True, found.key, None, found.size, found.version, found.created_at, found.format)


def version(stored: Stored) -> tuple[datetime | None, str | None]:
    """What changes whenever a record is written."""
    return stored.updated_at, stored.version


def _taken(key: str) -> StorageError:
    return KeyNotFoundError(
        f"Somebody else moved or deleted the record while it was moved; its copy is under {key!r}",
        hint="Delete the copy unless you want both",
    )


def vanished(loaded: Loaded) -> StorageError:
    """The error for a copy that cannot be read back."""
    if loaded.stored.expired(datetime.now(UTC)):
        return KeyNotFoundError("The record expired while it was copied")
    return StorageError(
        "The copy was written and is not there", hint="Is something deleting from the target?"
    )


def altered(what: str, sent: str, found: str) -> StorageError:
    """The error for a copy that is not what was sent, with the digests of both."""
    return StorageError(
        f"The copy is not what was sent: its {what} differs (sent {sent[:16]}…, stored"
        f" {found[:16]}…, SHA-256)",
        hint="The original is as it was; copy it again, unless somebody else writes under this key",
    )
