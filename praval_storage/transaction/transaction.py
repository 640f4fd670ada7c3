"""``Transaction``: several writes of which all stay, or none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from praval_storage.base import BaseStorageProvider
from praval_storage.display import Table, as_html, counted, listed
from praval_storage.errors import TransactionError
from praval_storage.operations import Operations
from praval_storage.provider_set import ProviderSet
from praval_storage.transaction.members import Members, elsewhere, over
from praval_storage.transaction.report import TransactionReport


class Transaction(Operations):
    """Several writes, to any providers, of which all stay or none: ``with dm.transaction() as tx:``.

        with dm.transaction() as tx:
            ref = tx.store(order, "postgresql", key="order_17")
            tx.store(scan, "s3", key="orders/17.pdf")
            tx.delete_by_key("redis", "basket_17")

    An exception that leaves the block, ``KeyboardInterrupt`` included, undoes its writes in reverse order:
    what was overwritten or deleted comes back with its data byte for byte, format, types, metadata,
    ``created_at`` and expiry, and what was new goes. The exception then goes on its way, with a note of what
    was undone. When something could not be undone, ``TransactionError`` is raised from it instead, so that
    nobody takes a half for a whole; an interrupt stays an interrupt. :attr:`report` has it all.

    Only what is done through ``tx`` takes part, not ``dm.store`` inside the block. Reads through ``tx`` see
    its writes. It has the methods of the manager that work on records, and may be used from several threads:
    its calls take turns. A transaction inside another is independent of it.

    **PostgreSQL** takes part with a transaction of its own, from its first use to the end of the block:
    others see all of its writes at once, at the end, or none, also when the process is killed in the middle.
    A call that fails and is caught leaves the rest as it is. Its locks are held until the end; whoever waits
    for one longer than ten seconds inside the block, with ``dm.store`` to the same record for example, gets a
    ``StorageTimeoutError``. It commits last; if it refuses, everything else is undone. Of several databases
    this is the one used first.

    **Everywhere else** a write is done at once, everybody sees it, and undoing is a second write
    (*compensation*). Before a record is written it is read, and kept in memory or, beyond 16 MiB, in a
    temporary file. When it is undone

    - a record that somebody else has changed or deleted since stays as they left it, and the report says so.
      Times and versions tell; a change in the instant between looking and putting back is not seen;
    - a record that has expired meanwhile does not come back;
    - ``updated_at`` and ``version`` are those of the new write;
    - files and objects that others had put there, without times and metadata, come back as records with the
      same data. What others keep in Redis comes back in its own form. A point of others in Qdrant could not
      come back exactly: writing it raises ``UnsupportedOperationError``;
    - a provider that knows only values gets the value back, without metadata, whoever has changed it since.

    **In a process that is forked off** inside the block the transaction cannot be used, and its end does
    nothing: it stays the parent's.

    **When the process is killed** or the machine fails in the middle, nothing is compensated: what was
    written elsewhere than in PostgreSQL stays. What must never be half done belongs into PostgreSQL alone.

    Attributes:
        report: What became of each write; ``None`` until the end.
    """

    def __init__(self, providers: ProviderSet) -> None:
        self._all = providers
        self._providers: ProviderSet = _Closed(_not_begun)
        self._members: Members | None = None
        self.report: TransactionReport | None = None

    def rollback(self) -> TransactionReport:
        """Undo everything now, without an exception. The block goes on, but the transaction is over.

        Raises:
            TransactionError: Something could not be undone: its ``report`` says what.
        """
        if self._members is None:
            raise _not_begun() if self.report is None else over()
        if self._members.is_elsewhere:
            raise elsewhere()
        report = self._undo(self._members, _AskedError())
        if not report.ok:
            raise _incomplete(report)
        return report

    def __enter__(self) -> Self:
        if self._members is not None or self.report is not None:
            raise TransactionError("A transaction has one block", hint="Begin another: dm.transaction()")
        self._providers = self._members = Members(self._all)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._members is None:  # rolled back by hand
            return
        if self._members.is_elsewhere:
            self._members, self._providers = None, _Closed(elsewhere)
            if error is None:
                raise elsewhere()
            return
        if error is None:
            self._commit(self._members)
        else:
            self._fail(self._members, error)

    def __repr__(self) -> str:
        return repr(self.report) if self.report is not None else self._state()

    def _repr_html_(self) -> str:
        return as_html(Table(self._state(), (), (), 0)) if self.report is None else self.report._repr_html_()

    def _state(self) -> str:
        if self._members is None:
            return "Transaction: not begun"
        return f"Transaction: open, {counted(len(self._members.report().changes), 'write')} so far"

    def _commit(self, members: Members) -> None:
        try:
            members.commit()
        except TransactionError as error:  # it is not known whether it was
            error.report = self._undo(members, error)
            raise
        except BaseException as error:
            self._fail(members, error)
            raise
        self._end(members)

    def _fail(self, members: Members, error: BaseException) -> None:
        """Undo; what made it necessary goes on its way, if nothing worse has happened."""
        report = self._undo(members, error)
        if not report.ok and isinstance(error, Exception):
            raise _incomplete(report) from error

    def _undo(self, members: Members, error: BaseException) -> TransactionReport:
        try:
            members.roll_back(error)
        finally:  # also when that is interrupted
            report = self._end(members)
            if report.changes:
                with suppress(AttributeError, TypeError):  # some exceptions are frozen
                    error.add_note(f"Its transaction was rolled back. {report!r}")
        return report

    def _end(self, members: Members) -> TransactionReport:
        self._members, self._providers = None, _Closed(over)
        members.close()
        self.report = members.report()
        return self.report


class _AskedError(Exception):
    """Stands for the exception there is none of when somebody asks for a rollback."""


class _Closed(ProviderSet):
    """Stands for the providers before the block and after it."""

    def __init__(self, error: Callable[[], TransactionError]) -> None:
        super().__init__()
        self._error = error

    def __getitem__(self, name: str) -> BaseStorageProvider:
        raise self._error()


def _not_begun() -> TransactionError:
    return TransactionError(
        "The transaction has not begun", hint="Use it in a block: with dm.transaction() as tx: ..."
    )


def _incomplete(report: TransactionReport) -> TransactionError:
    failed = listed(f"{change.reference.uri}: {change.reason}" for change in report.failed)
    few = f"{len(report.failed)} of {counted(len(report.changes), 'write')}"
    error = TransactionError(
        f"The transaction was rolled back, and {few} could not be undone: {failed}",
        hint="The report of this error has all of them",
    )
    error.report = report
    return error
