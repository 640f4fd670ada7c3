"""The providers of one transaction: those of a manager, noting what is written to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from threading import RLock
from typing import NamedTuple, TypeVar

from praval_storage.base import BaseStorageProvider, CanTransact, Writer, boundary
from praval_storage.errors import StorageError, TransactionError
from praval_storage.provider_set import ProviderSet
from praval_storage.reference import DataReference
from praval_storage.transaction.journal import Journal, Slot
from praval_storage.transaction.report import Change, Fate, TransactionReport
from praval_storage.transaction.undoing import Undoing, Verdict
from praval_storage.transaction.writers import Compensated, Inside
from praval_storage.writing import Target

T = TypeVar("T")


class Step(NamedTuple):
    """One write.

    Attributes:
        target: Where was written.
        slot: What was written, under the first name of its provider.
        operation: What was called.
        is_certain: Whether it succeeded; of one that failed nobody knows how far it came.
    """

    target: Target
    slot: Slot
    operation: str
    is_certain: bool = True


class Native(NamedTuple):
    """The transaction of a backend.

    Attributes:
        name: Storage type it was begun for.
        bound: The provider bound to it.
        context: Ends it.
    """

    name: str
    bound: CanTransact
    context: AbstractContextManager[CanTransact]


class Members(ProviderSet):
    """The providers of a set as one transaction sees them. Its calls take turns.

    Args:
        providers: The set.
    """

    def __init__(self, providers: ProviderSet) -> None:
        super().__init__()
        self._all = providers
        self._owner = os.getpid()
        self._turn = RLock()
        self._operation = ""
        self._is_over = False
        self._begun: dict[str, BaseStorageProvider] = {}
        self._found: dict[Target, BaseStorageProvider] = {}
        self._native: Native | None = None
        self._inside: set[Target] = set()
        self._homes: dict[int, Target] = {}
        self._journal = Journal()
        self._steps: list[Step] = []
        self._verdicts: dict[Slot, Verdict] = {}
        self._native_verdict = Verdict(Fate.COMMITTED)

    # As a set of providers

    def __getitem__(self, name: str) -> BaseStorageProvider:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def is_read_only(self, name: str) -> bool:
        """Whether a provider is for reading only, in the transaction as outside."""
        return self._all.is_read_only(name)

    def check_writable(self, name: str, operation: str, key: str | None = None) -> None:
        """Raise when a provider is for reading only."""
        self._all.check_writable(name, operation, key)

    def find(self, name: str, collection: str | None = None) -> BaseStorageProvider:
        """The provider of a storage type; one that has transactions is bound to one from now on.

        Raises:
            TransactionError: Another one was registered meanwhile, or this process forked off.
        """
        self._check_owner()
        target = Target(name, collection)
        with self._turn:
            if self._is_over:
                return self._all.find(*target)
            self._check_same(name)
            if target not in self._found:
                self._found[target] = self._joined(target, self._all.find(*target))
            return self._found[target]

    def writer(self, name: str, collection: str | None = None) -> Writer:
        """What changes the data of a storage type, so that it can be undone."""
        target = Target(name, collection)
        provider, outside = self.find(name, collection), self._all.writer(name, collection)
        self._check_same(name)
        if target in self._inside:
            return Inside(provider, partial(self._note, target, target))
        home = self._homes.setdefault(id(provider), target)
        return Compensated(home, provider, outside, self._journal, partial(self._note, target, home))

    def call(
        self, name: str, operation: str, key: str | None, work: Callable[[], T], *, again: bool = True
    ) -> T:
        """Do one piece of work on a provider, one after the other.

        Raises:
            TransactionError: This process was forked off in the middle of the transaction.
        """
        self._check_owner()
        with self._turn:
            self._operation = operation
            return self._all.call(name, operation, key, work, again=again)

    # As a transaction

    @property
    def is_elsewhere(self) -> bool:
        """Whether this process was forked off in the middle: everything is the parent's to end."""
        return self._owner != os.getpid()

    def commit(self) -> None:
        """Let everything stay: what is written already, and what the backend's own transaction holds.

        Raises:
            StorageError: That one has not been committed.
        """
        with self._turn:
            self._is_over = True
            if self._native is None:
                return
            name, bound, context = self._native
            self._native_verdict = _unknown("interrupted while it was being committed")
            try:
                # Not by its name, under which there may be another one by now.
                with self._all.calls(name).noted("commit", None), boundary(bound, "commit"):
                    context.__exit__(None, None, None)
            except TransactionError as error:
                self._native_verdict = Verdict(Fate.FAILED, str(error), error)
                raise
            except StorageError:
                self._native_verdict = Verdict(Fate.UNDONE)
                raise
            self._native_verdict = Verdict(Fate.COMMITTED)

    def roll_back(self, error: BaseException) -> None:
        """Undo everything; what cannot be undone is in the report, not raised."""
        with self._turn:
            failed_at_commit, self._is_over = self._is_over, True
            stopped = _unknown("interrupted before it was undone")
            self._verdicts = dict.fromkeys(self._journal.entries, stopped)
            if self._native is not None and not failed_at_commit:
                self._native_verdict = stopped
                self._native.context.__exit__(type(error), error, error.__traceback__)
                self._native_verdict = Verdict(Fate.UNDONE)
            for slot, verdict in Undoing(self._journal, self._all).run():
                self._verdicts[slot] = verdict

    def close(self) -> None:
        """Forget what would have been put back; the providers belong to others."""
        self._journal.spool.close()

    def report(self) -> TransactionReport:
        """What became of each write."""
        certain = {step.slot for step in self._steps if step.is_certain}
        return TransactionReport(
            tuple(
                self._change(step, verdict)
                for step in self._steps
                if (verdict := self._verdict(step)).fate is not None
                and (step.is_certain or (step.slot not in certain and verdict.fate is not Fate.COMMITTED))
            )
        )

    def _note(self, target: Target, home: Target, keys: Sequence[str], *, is_certain: bool = True) -> None:
        if self._is_over:
            raise over()
        self._steps += [Step(target, Slot(home, key), self._operation, is_certain) for key in keys]

    def _verdict(self, step: Step) -> Verdict:
        if step.target in self._inside:
            return self._native_verdict
        return self._verdicts.get(step.slot, Verdict(Fate.COMMITTED))

    def _change(self, step: Step, verdict: Verdict) -> Change:
        target, key = step.target, step.slot.key
        reference = DataReference(target.storage_type, key, collection=target.collection)
        return Change(
            reference, step.operation, verdict.fate or Fate.COMMITTED, verdict.reason, verdict.error
        )

    def _joined(self, target: Target, provider: BaseStorageProvider) -> BaseStorageProvider:
        if not isinstance(provider, CanTransact):
            return provider
        if self._native is None:
            bound = self._all.call(target.storage_type, "begin", None, lambda: self._begin(target, provider))
        else:
            joining = provider.joining(self._native.bound)
            if joining is None:
                return provider
            bound = joining
        self._inside.add(target)
        return bound

    def _begin(self, target: Target, provider: CanTransact) -> CanTransact:
        context = provider.transaction()
        try:
            self._native = Native(target.storage_type, context.__enter__(), context)
        except BaseException as error:  # an interrupt may come when it has just begun
            self._native = None
            context.__exit__(type(error), error, error.__traceback__)
            raise
        return self._native.bound

    def _check_owner(self) -> None:
        if self.is_elsewhere and not self._is_over:
            raise elsewhere()

    def _check_same(self, name: str) -> None:
        now = self._all[name]
        if not self._is_over and self._begun.setdefault(name, now) is not now:
            raise TransactionError(
                f"Another provider was registered as {name!r} since the transaction first used it",
                hint="Register providers before the block",
            )


def over() -> TransactionError:
    """The error for using a transaction that has ended."""
    return TransactionError(
        "The transaction is over", hint="Its block has ended; begin another: with dm.transaction() as tx: ..."
    )


def elsewhere() -> TransactionError:
    """The error for using the transaction of a parent process."""
    return TransactionError(
        "The transaction belongs to the process from which this one was forked off",
        hint="Begin another one here: with dm.transaction() as tx: ...",
    )


def _unknown(reason: str) -> Verdict:
    return Verdict(Fate.FAILED, reason, StorageError(reason))
