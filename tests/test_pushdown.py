"""Pushdown + residual is exactly what ``matches`` answers, however little the backend can say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from conftest import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from praval_storage.filters import EVERYTHING, NOTHING, Compare, Matchable, Node, Not, parse, paths
from praval_storage.pushdown import Compiler, Native, Pushdown, restrict
from praval_storage.testing import strategies
from praval_storage.testing.strategies import Sample

Condition = Callable[[Matchable], bool]

EXACT, SUPERSET, UNABLE = "exact", "superset", "unable"


class Toy(Compiler[Condition]):
    """A backend whose conditions are functions, and that says each comparison as well as it is told to."""

    def __init__(self, ability: Callable[[Compare], str], extra: Callable[[Matchable], bool]) -> None:
        self._ability = ability
        self._extra = extra

    def compare(self, node: Compare) -> Native[Condition] | None:
        ability = self._ability(node)
        if ability == UNABLE:
            return None
        if ability == EXACT:
            return Native(node.matches)
        return Native(lambda record: node.matches(record) or self._extra(record), exact=False)

    def all_of(self, conditions: Sequence[Condition]) -> Condition:
        assert len(conditions) > 1
        return lambda record: all(condition(record) for condition in conditions)

    def any_of(self, conditions: Sequence[Condition]) -> Condition:
        assert len(conditions) > 1
        return lambda record: any(condition(record) for condition in conditions)

    def negate(self, condition: Condition) -> Condition:
        return lambda record: not condition(record)


def by_field(node: Compare) -> str:
    """``e...`` is said exactly, ``s...`` as a superset, ``u...`` not at all."""
    return {"e": EXACT, "s": SUPERSET, "u": UNABLE}[node.path.parts[0][0]]


def compile_(filters: dict[str, Any]) -> Pushdown[Condition]:
    return Toy(by_field, lambda _: True).compile(parse(filters))


E, S, U = {"e": 1}, {"s": 1}, {"u": 1}
PARTLY_NEGATED = {"$not": E | {"$or": [S, {"e2": 1}]}}


@pytest.mark.parametrize(
    "filters,pushed,residual",
    [
        ({}, {}, {}),
        (E, E, {}),
        (S, S, S),
        (U, {}, U),
        (E | S | U, E | S, S | U),
        ({"$and": [E, {"$and": [U, {"$and": [S]}]}]}, E | S, U | S),
        ({"$not": E}, {"$not": E}, {}),
        ({"$not": S}, {}, {"$not": S}),
        ({"$not": U}, {}, {"$not": U}),
        ({"$not": {"$not": S}}, S, S),
        ({"$or": [E, {"e2": 1}]}, {"$or": [E, {"e2": 1}]}, {}),
        ({"$or": [E, S]}, {"$or": [E, S]}, {"$or": [E, S]}),
        ({"$or": [E, U]}, {}, {"$or": [E, U]}),
        ({"$or": [E, E | U]}, {"$or": [E, E | U]}, {"$or": [E, E | U]}),
        ({"$not": {"$or": [E, U]}}, {"$not": E}, {"$not": U}),
        ({"$not": E | U}, {}, {"$not": E | U}),
        ({"$not": {"$and": [E, {"e2": 1}]}}, {"$not": E | {"e2": 1}}, {}),
        # The complement of a superset would lose matches; beside it, the exact one still helps.
        (PARTLY_NEGATED, PARTLY_NEGATED, PARTLY_NEGATED),
        ({"$not": {}}, {}, {"$not": {}}),
        ({"$or": [E, {}]}, {}, {}),
        ({"$or": [{"$not": {}}, E]}, {"$or": [{"$not": {}}, E]}, {}),
        ({"$or": [U, {}]}, {}, {}),
        ({"$not": {"$not": {}}}, {}, {}),
    ],
)
def test_conjuncts_are_pushed_where_a_superset_can_be_said(filters: Any, pushed: Any, residual: Any) -> None:
    answer = compile_(filters)
    assert answer.pushed == parse(pushed)
    assert answer.residual == parse(residual)
    assert (answer.condition is None) == (pushed == {})


def test_what_is_pushed_from_a_negated_or_is_each_negation() -> None:
    answer = compile_({"$not": {"$or": [E, {"e2": 2}]}})
    assert answer.pushed == parse({"$and": [{"e": {"$ne": 1}}, {"e2": {"$ne": 2}}]})
    assert answer.residual == EVERYTHING


def test_a_node_of_another_kind_is_refused() -> None:
    class Odd(Node):
        __slots__ = ()

        def matches(self, record: Matchable) -> bool:
            return True

    for function in (lambda node: compile_({"$and": [node]}), paths, repr):
        with pytest.raises(TypeError, match="Odd is no filter node"):
            function(Odd())


@settings(max_examples=cases(600))
@given(st.data(), strategies.tables(), strategies.filters())
def test_condition_and_residual_select_what_matches(
    data: st.DataObject, table: list[Sample], filters: Any
) -> None:
    node = parse(filters)
    extra = data.draw(st.sets(st.sampled_from([sample.key for sample in table])), label="superset adds")
    abilities = st.sampled_from((EXACT, EXACT, SUPERSET, UNABLE))
    answer = Toy(lambda _: data.draw(abilities), lambda record: record.key in extra).compile(node)
    for sample in table:
        selected = answer.condition is None or answer.condition(sample)
        assert (selected and answer.residual.matches(sample)) == node.matches(sample)
        assert not (answer.pushed.matches(sample) and not selected)


@settings(max_examples=cases(200))
@given(strategies.tables(), strategies.filters(), st.sets(st.sampled_from(strategies.ROOTS)))
def test_a_filter_splits_by_what_is_at_hand(table: list[Sample], filters: Any, roots: set[str]) -> None:
    node = parse(filters)
    early = restrict(node, roots)
    if early.condition is not None:
        assert {path.root for path in paths(early.condition)} <= roots
    for sample in table:
        refused = early.condition is not None and not early.condition.matches(sample)
        assert (not refused and early.residual.matches(sample)) == node.matches(sample)


def test_a_filter_on_metadata_needs_no_data() -> None:
    early = restrict(parse({"metadata.a": 1, "b": 2, "key": {"$ne": "k"}}), {"key", "metadata"})
    assert early.condition == parse({"metadata.a": 1, "key": {"$ne": "k"}})
    assert early.residual == parse({"b": 2})
    assert restrict(NOTHING, {"key"}).residual == Not(EVERYTHING)
