"""Every provider gives exactly the reference answer to random questions about random records.

The reference is ``node.matches`` and ``sort_records`` on the records as they were before they were stored;
nothing that a provider shares takes part in it. One set of records is asked many questions, and each
question (filter, order, limit) is a case.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import pytest
from backends import BACKENDS, make
from conftest import cases
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from praval_storage import DataManager, DataReference, StorageError
from praval_storage.filters import And, Not, Or, equal, parse, parse_order, sort_records
from praval_storage.records import Draft
from praval_storage.testing import InMemoryProvider, strategies
from praval_storage.testing.strategies import Sample

T = TypeVar("T")

HERE = "under test"
QUESTIONS = 7
"""About one set of records: a little less than the average, so that enough are asked."""
NO_SHRINKING = [phase for phase in Phase if phase is not Phase.shrink]
"""Storing a hundred variants of the records takes minutes; :func:`smallest` takes a second."""
KEYS = [key for pair in zip(strategies.KEYS, (f"more/{n}" for n in range(15)), strict=True) for key in pair]


@dataclass(frozen=True)
class Question:
    filters: dict[str, Any]
    order_by: str | None
    limit: int | None


class Answer(NamedTuple):
    keys: list[str]
    truncated: bool


def storable(samples: list[Sample]) -> list[Sample]:
    """The samples under distinct keys; metadata keys that are reserved left out."""
    return [
        replace(sample, key=key, metadata={n: v for n, v in sample.metadata.items() if not n.startswith("$")})
        for key, sample in zip(KEYS, samples, strict=False)
    ]


def some(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """Ten or so, up to 70: a plain list would have few, and one with a minimal size could not shrink."""
    fives = st.lists(strategy, min_size=1, max_size=10)
    return st.lists(fives, min_size=1, max_size=7).map(lambda lists: list(chain.from_iterable(lists)))


tables = some(strategies.records(json_only=False, nan=True)).map(storable)
questions = some(
    st.builds(
        Question,
        strategies.filters(json_only=False, nan=True),
        strategies.orders(),
        st.just(0) | strategies.limits(),
    )
)


@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("name", [*BACKENDS, "memory"])
def test_a_query_answers_what_matches_answers(name: str, request: pytest.FixtureRequest) -> None:
    provider = InMemoryProvider() if name == "memory" else make(name, request)
    wanted = cases(2_000, 20_000)
    asked = 0

    @settings(max_examples=wanted // QUESTIONS, suppress_health_check=list(HealthCheck), phases=NO_SHRINKING)
    @given(tables, questions)
    def ask(table: list[Sample], about: list[Question]) -> None:
        nonlocal asked
        with stored(dm, HERE, table) as samples:
            for question in about:
                if wrong := difference(dm, HERE, samples, question):
                    at_its_smallest = difference(dm, HERE, samples, smallest(dm, HERE, samples, question))
                    pytest.fail(f"{wrong}\n\nat its smallest:\n{at_its_smallest}", pytrace=False)
                asked += 1

    with DataManager({HERE: provider}) as dm:
        ask()
    assert asked >= wanted


@contextmanager
def stored(dm: DataManager, where: str, table: list[Sample]) -> Iterator[list[Sample]]:
    """The table as it is found again, which is as it was, with the sizes and formats of this provider."""
    drafts = [
        Draft(each.key, each.data, each.metadata, each.updated_at, created_at=each.created_at)
        for each in table
        if each.updated_at is not None
    ]
    provider = dm.providers[where]
    try:
        assert [result.error for result in provider.write(drafts)] == [None] * len(table)
        found = dm.query(where, limit=None, order_by="key").records
        samples = sorted(table, key=lambda sample: sample.key)
        for record, sample in zip(found, samples, strict=True):
            assert record.key == sample.key
            assert equal(record.data, sample.data), sample
            assert equal(record.metadata, sample.metadata), sample
            assert (record.created_at, record.updated_at) == (sample.created_at, sample.updated_at)
        yield [
            replace(sample, size=record.size, format=record.format)
            for record, sample in zip(found, samples, strict=True)
        ]
    finally:
        dm.delete_many(DataReference(where, draft.key) for draft in drafts).raise_for_errors()


def difference(dm: DataManager, where: str, samples: list[Sample], question: Question) -> str | None:
    """What is wrong with a provider's answer, with the records it is wrong about."""
    order = parse_order(question.order_by)
    node = parse(question.filters)
    matching = [sample.key for sample in sort_records(samples, order) if node.matches(sample)]
    expected = Answer(matching[: question.limit], len(matching) > len(matching[: question.limit]))
    try:
        result = dm.query(where, question.filters, question.limit, order_by=question.order_by)
    except StorageError as error:
        return f"{question}\nraised {error!r}"
    found = Answer(result.keys, result.truncated)
    if found == expected or (order is None and is_as_good(found, expected, matching)):
        return None
    differing = set(expected.keys) ^ set(found.keys) or {*expected.keys}
    records = "\n".join(repr(sample) for sample in samples if sample.key in differing)
    return f"{question}\nexpected {expected}\nfound    {found}\nrecords in question:\n{records}"


def is_as_good(found: Answer, expected: Answer, matching: list[str]) -> bool:
    """Without an order any of the matches will do, but each only once."""
    return (
        found.truncated == expected.truncated
        and len(found.keys) == len(set(found.keys)) == len(expected.keys)
        and set(found.keys) <= set(matching)
    )


def smallest(dm: DataManager, where: str, samples: list[Sample], question: Question) -> Question:
    """The smallest part of a question that is answered wrongly as well."""
    match parse(question.filters):
        case And(children=children) | Or(children=children):
            parts = list(children)
        case Not(child=child):
            parts = [child]
        case _:
            parts = []
    simpler = [Question(part.to_filters(), None, None) for part in parts]
    if question.order_by is not None or question.limit is not None:
        simpler.append(replace(question, order_by=None, limit=None))
    wrong = next((part for part in simpler if difference(dm, where, samples, part)), None)
    return question if wrong is None else smallest(dm, where, samples, wrong)
