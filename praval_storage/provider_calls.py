"""How the calls of a provider went: the last one, the last failure, and figures of all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, perf_counter

from praval_storage.display import Table, as_html, as_text, counted, printable
from praval_storage.errors import StorageConnectionError, StorageError, StorageTimeoutError
from praval_storage.options import options

logger = logging.getLogger("praval_storage")


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a provider answered.

    Attributes:
        status: ``"up"`` or ``"down"``.
        detail: A few words of the backend, or why it did not answer.
        seconds: How long the answer took.
    """

    status: str
    detail: str
    seconds: float


class HealthReport(dict[str, Health]):
    """Health by provider."""

    def __repr__(self) -> str:
        return as_text(self._table(_lasting))

    def _repr_html_(self) -> str:
        if options.stable_repr:
            return as_html(self._table(_lasting))
        return as_html(self._table(lambda each: (each.status, each.detail, took(each)), "took"))

    def _table(self, cells: Callable[[Health], Sequence[str]], *more: str) -> Table:
        up = sum(each.status == "up" for each in self.values())
        rows = [
            [printable(name), *(printable(cell, 300) for cell in cells(each))] for name, each in self.items()
        ]
        title = f"{counted(len(self), 'provider')}: {up} up, {len(self) - up} down"
        return Table(title, ("provider", "state", "detail", *more), rows, 0)


@dataclass(slots=True)
class Statistics:
    """Calls, failures and total seconds of one operation on one provider."""

    calls: int = 0
    failures: int = 0
    seconds: float = 0.0


class Calls:
    """How the calls of one provider went; safe to use from several threads.

    Args:
        name: What it is registered as.
        statistics: By operation; those of earlier providers of that name count as well.

    Attributes:
        last: How the last call went.
        error: What the last call that failed said; empty when the provider was not to blame for any.
        has_answered: Whether any call has succeeded.
    """

    def __init__(self, name: str, statistics: dict[str, Statistics] | None = None) -> None:
        self.name = name
        self.statistics = {} if statistics is None else statistics
        self.last = Health("unknown", "not used yet", 0.0)
        self.error = ""
        self.has_answered = False
        self._ended: float | None = None

    @property
    def age(self) -> float | None:
        """Seconds since the last call ended."""
        return None if self._ended is None else monotonic() - self._ended

    @contextmanager
    def noted(self, operation: str, key: str | None) -> Iterator[None]:
        """Note how the block goes; its storage errors are given the name of the provider."""
        started, failed = perf_counter(), True
        try:
            yield
            failed = False
        except StorageError as error:
            error.provider = self.name
            self._blame(operation, error, perf_counter() - started)
            raise
        finally:
            self._ended = monotonic()
            self._count(operation, key, perf_counter() - started, failed)

    def _blame(self, operation: str, error: StorageError, seconds: float) -> None:
        if isinstance(error, StorageConnectionError | StorageTimeoutError):
            self.last = Health("down", type(error).__name__, seconds)
        if not isinstance(error, LookupError | ValueError):  # the caller's own mistakes
            self.error = f"{operation}: {printable(str(error), 300)}"

    def _count(self, operation: str, key: str | None, seconds: float, failed: bool) -> None:
        if not failed:
            self.has_answered = True
            self.last = Health("up", "", seconds)
        entry = self.statistics.setdefault(operation, Statistics())
        entry.calls, entry.failures = entry.calls + 1, entry.failures + failed
        entry.seconds += seconds
        if logger.isEnabledFor(logging.DEBUG):
            outcome = "failed" if failed else "ok"
            logger.debug("%s %s %r: %s in %.1f ms", self.name, operation, key, outcome, seconds * 1e3)


def _lasting(health: Health) -> Sequence[str]:
    # An address or a time would differ from run to run; a reason is worth it.
    return health.status, health.detail if health.status != "up" else ""


def took(health: Health) -> str:
    """How long a call took."""
    return f"{health.seconds * 1e3:.0f} ms" if health.seconds else ""
