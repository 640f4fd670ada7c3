"""What changes data inside a transaction: each write is noted, and remembered first where it must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from praval_storage.base import BaseStorageProvider, StorageResult, Writer
from praval_storage.records import Draft
from praval_storage.transaction.journal import Entry, Journal, Mark
from praval_storage.writing import Target


class Note(Protocol):
    """Takes down that records were changed."""

    def __call__(self, keys: Sequence[str], *, is_certain: bool = True) -> None:
        """Take it down.

        Args:
            keys: Their keys.
            is_certain: Whether they surely were: nobody knows how far a call came that failed.

        Raises:
            TransactionError: The transaction is over.
        """


class Inside:
    """Writes of a provider that is bound to a transaction of its backend.

    Args:
        writer: The provider.
        note: Takes the writes down.
    """

    def __init__(self, writer: Writer, note: Note) -> None:
        self._writer = writer
        self._note = note

    def write(self, drafts: Sequence[Draft], *, overwrite: bool = True) -> list[StorageResult]:
        """See ``Writer``; what fails has been taken back."""
        self._note(())
        results = self._writer.write(drafts, overwrite=overwrite)
        done = [draft.key for draft, result in zip(drafts, results, strict=True) if result.success]
        self._note(done)
        return results

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """See ``Writer``."""
        self._note(())
        there = self._writer.remove(keys)
        self._note([key for key, was in zip(keys, there, strict=True) if was])
        return there


class Compensated:
    """Writes of a provider whose records are remembered first.

    Args:
        target: What the journal calls it.
        provider: The provider.
        writer: What writes to it.
        journal: Remembers.
        note: Takes the writes down.
    """

    def __init__(
        self, target: Target, provider: BaseStorageProvider, writer: Writer, journal: Journal, note: Note
    ) -> None:
        self._target = target
        self._provider = provider
        self._writer = writer
        self._journal = journal
        self._note = note

    def write(self, drafts: Sequence[Draft], *, overwrite: bool = True) -> list[StorageResult]:
        """See ``Writer``."""
        entries = self._remembered([draft.key for draft in drafts])
        for draft in drafts:
            entries[draft.key].begin(Mark(draft.written_at), draft.expires_at)
        with self._noting_failure([*entries]):
            results = self._writer.write(drafts, overwrite=overwrite)
            for draft, result in zip(drafts, results, strict=True):
                if result.success:
                    entries[draft.key].finish(Mark(draft.written_at), result)
                self._note([draft.key], is_certain=result.success)
        return results

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """See ``Writer``."""
        entries = self._remembered(keys)
        for entry in entries.values():
            entry.is_deleted = True
        with self._noting_failure(keys):
            there = self._writer.remove(keys)
            for key, was in zip(keys, there, strict=True):
                if was:
                    entries[key].is_certain = True
                    self._note([key])
        return there

    def _remembered(self, keys: Sequence[str]) -> dict[str, Entry]:
        self._note(())
        distinct = list(dict.fromkeys(keys))
        remembered = self._journal.remember(self._target, self._provider, distinct)
        return dict(zip(distinct, remembered, strict=True))

    @contextmanager
    def _noting_failure(self, keys: Sequence[str]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._note(keys, is_certain=False)
            raise
