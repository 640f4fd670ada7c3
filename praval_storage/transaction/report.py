"""``TransactionReport``: what became of each write of a transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from praval_storage.display import SHOWN, Table, as_html, as_text, counted, printable
from praval_storage.errors import StorageError
from praval_storage.reference import DataReference

REASON_WIDTH = 200


class Fate(StrEnum):
    """What became of a write."""

    FAILED = "failed"
    """It could not be undone, or it is not known whether it was."""
    LEFT = "left"
    """Somebody else has changed the record since, and theirs stays."""
    UNDONE = "undone"
    """The record is what it was before."""
    COMMITTED = "committed"
    """It stays."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write of a transaction.

    Attributes:
        reference: The record.
        operation: What was called: ``"store"``, ``"delete_many"``, ``"move"``.
        outcome: ``"committed"``, ``"undone"``, ``"left"`` or ``"failed"``.
        reason: Why it was left or failed, or what else there is to say.
        error: The failure, if it could not be undone.
    """

    reference: DataReference
    operation: str
    outcome: Fate
    reason: str = ""
    error: StorageError | None = None


@dataclass(frozen=True, slots=True, repr=False)
class TransactionReport:
    """What became of each write, in the order of the writes.

    Attributes:
        changes: The writes.
    """

    changes: tuple[Change, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed: all is committed, or all that was not left to others is undone."""
        return not self.failed

    @property
    def committed(self) -> list[Change]:
        """The writes that stay."""
        return self._with(Fate.COMMITTED)

    @property
    def undone(self) -> list[Change]:
        """The writes that were taken back."""
        return self._with(Fate.UNDONE)

    @property
    def left(self) -> list[Change]:
        """The writes whose records somebody else has changed since: theirs stays."""
        return self._with(Fate.LEFT)

    @property
    def failed(self) -> list[Change]:
        """The writes that could not be undone, or may not be."""
        return self._with(Fate.FAILED)

    def __repr__(self) -> str:
        return as_text(self._table())

    def _repr_html_(self) -> str:
        return as_html(self._table())

    def _with(self, outcome: Fate) -> list[Change]:
        return [change for change in self.changes if change.outcome is outcome]

    def summary(self) -> str:
        """``3 writes: 1 failed, 2 undone``."""
        found = Counter(change.outcome for change in self.changes)
        parts = [f"{found[fate]} {fate}" for fate in Fate if found[fate]]
        return ": ".join([counted(len(self.changes), "write"), *filter(None, [", ".join(parts)])])

    def _table(self) -> Table:
        # What went wrong is what somebody looks for, however many others there are.
        worst_first = sorted(self.changes, key=lambda change: [*Fate].index(change.outcome))
        rows = [
            (change.operation, printable(change.reference.uri, 100), change.outcome, _reason(change))
            for change in worst_first[:SHOWN]
        ]
        header = ("operation", "record", "outcome", "")
        return Table(f"TransactionReport: {self.summary()}", header, rows, len(self.changes) - len(rows))


def _reason(change: Change) -> str:
    return printable(change.reason, REASON_WIDTH)
