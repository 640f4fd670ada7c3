"""What reading and batch calls return: immutable sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, overload

from praval_storage.display import Bar, as_html, facts, listed, printable
from praval_storage.errors import StorageError
from praval_storage.reference import DataReference
from praval_storage.results.sequence import RowSequence, Source
from praval_storage.scan import Neighbour, Plan

__all__ = ["BatchResult", "Listing", "Outcome", "QueryResult", "SearchResult", "Source"]


class QueryResult(RowSequence[Any]):
    """The data of the records that match a query, in order."""

    def _item(self, place: int) -> Any:
        return self._value(place)


class SearchResult(RowSequence[tuple[Any, float]]):
    """``(data, score)`` of the nearest records, best first.

    Attributes:
        metric: ``"cosine"``, ``"dot"``, ``"euclid"`` or ``"manhattan"``.
        vector_name: Which of several vectors was compared, where the search said so.
    """

    _header = ("score", "key", "format", "size", "updated")
    _remedy: ClassVar[str] = "a higher limit for more"

    def __init__(
        self,
        rows: Sequence[Neighbour],
        source: Source,
        *,
        storage_type: str,
        collection: str | None = None,
        truncated: bool,
        limit: int | None,
        plan: Plan,
        metric: str,
        vector_name: str | None = None,
    ) -> None:
        super().__init__(
            [row.stored for row in rows],
            source,
            storage_type=storage_type,
            collection=collection,
            truncated=truncated,
            limit=limit,
            plan=plan,
        )
        self._scores = [row.score for row in rows]
        self._distances = [row.raw for row in rows]
        self.metric = metric
        self.vector_name = vector_name

    @property
    def scores(self) -> list[float]:
        """Scores in order; higher is better whatever the metric."""
        return list(self._scores)

    @property
    def distances(self) -> list[float]:
        """What the backend measured, in its own metric: a similarity for cosine and dot, else a distance."""
        return list(self._distances)

    def _item(self, place: int) -> tuple[Any, float]:
        return self._value(place), self._scores[place]

    def _cells(self, wanted: Sequence[str] | None) -> tuple[Any, ...]:
        rows, values, _ = super()._cells(wanted)
        return rows, values, self._scores

    def _part(self, places: slice) -> Self:
        part = super()._part(places)
        vars(part).update(_scores=self._scores[places], _distances=self._distances[places])
        return part

    def _row(self, place: int) -> tuple[str, ...]:
        # As a share of the best one here: scores of dot products know no limit.
        best = max(map(abs, self._scores), default=0.0)
        score = self._scores[place]
        return Bar.of(f"{score:.4g}", score / best if best > 1 else score), *super()._row(place)


class Listing(RowSequence[DataReference]):
    """References to records; nothing of their data is ever fetched."""

    def _item(self, place: int) -> DataReference:
        return self.references[place]

    def _fetch(self, places: Iterable[int]) -> None:
        """References need no bodies."""

    def _cells(self, wanted: Sequence[str] | None) -> tuple[Any, ...]:
        return self._rows, None, None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item of a batch.

    Attributes:
        key: Its key; ``None`` when it failed before it had one.
        value: What the single call would have returned; ``None`` when it failed.
        error: Why it failed.
    """

    key: str | None
    value: Any
    error: StorageError | None = None

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.error is None

    def unwrap(self) -> Any:
        """The value; raises the error of an item that failed."""
        if self.error is not None:
            raise self.error
        return self.value


class BatchResult(Sequence[Outcome]):
    """One outcome for each item of a batch call, in the order of the items."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self._outcomes = tuple(outcomes)

    @property
    def ok(self) -> bool:
        """Whether every item succeeded."""
        return not self.failed

    @property
    def values(self) -> list[Any]:
        """The values in order, ``None`` for items that failed."""
        return [outcome.value for outcome in self._outcomes]

    @property
    def references(self) -> list[DataReference]:
        """The references among the values: what a batch stored."""
        return [value for value in self.values if isinstance(value, DataReference)]

    @property
    def failed(self) -> list[Outcome]:
        """The outcomes of the items that failed."""
        return [outcome for outcome in self._outcomes if outcome.error is not None]

    def raise_for_errors(self) -> None:
        """Nothing if every item succeeded.

        Raises:
            StorageError: Counts the failures, names the first and has it as its cause. If all of them are of
                one class, the error is of that class as well.
        """
        errors = [outcome.error for outcome in self._outcomes if outcome.error is not None]
        if errors:
            kinds = set(map(type, errors))
            kind = kinds.pop() if len(kinds) == 1 else StorageError
            raise kind(self._summary()) from errors[0]

    @overload
    def __getitem__(self, place: int) -> Outcome: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> Outcome | Self:
        if isinstance(place, slice):
            return type(self)(self._outcomes[place])
        return self._outcomes[place]

    def __len__(self) -> int:
        return len(self._outcomes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list | tuple | BatchResult):
            return NotImplemented
        return list(self) == list(other)

    def __repr__(self) -> str:
        return f"BatchResult: {self._summary()}"

    def _repr_html_(self) -> str:
        failed = {"no key" if each.key is None else each.key: each.error for each in self.failed}
        title = f"BatchResult: {len(self) - len(failed)} of {len(self)} succeeded"
        return as_html(facts(title, {key: str(error) for key, error in failed.items()}))

    def _summary(self) -> str:
        failed = self.failed
        text = f"{len(self) - len(failed)} of {len(self)} succeeded"
        named = listed(map(_failure, failed))
        return f"{text}; {len(failed)} failed: {named}" if failed else text


def _failure(outcome: Outcome) -> str:
    key = "no key" if outcome.key is None else repr(outcome.key)
    return printable(f"{key}: {outcome.error and outcome.error.message}", width=200)
