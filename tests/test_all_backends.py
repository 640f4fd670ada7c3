"""The same records in every backend, the same question to each: the answers are one answer.

``tests/test_equivalence.py`` compares each backend with ``matches`` on thousands of random cases; here all
of them hold one table at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from backends import BACKENDS, make
from conftest import cases
from hypothesis import HealthCheck, given, settings
from test_equivalence import NO_SHRINKING, Question, difference, questions, smallest, stored, tables

from praval_storage import DataManager
from praval_storage.testing.strategies import Sample


@pytest.fixture
def dm(request: pytest.FixtureRequest) -> Iterator[DataManager]:
    with DataManager({name: make(name, request) for name in BACKENDS}) as manager:
        yield manager


@pytest.mark.timeout(1_800)
def test_every_backend_gives_the_same_records(dm: DataManager) -> None:
    asked = 0

    @settings(max_examples=cases(30, 600), suppress_health_check=list(HealthCheck), phases=NO_SHRINKING)
    @given(tables, questions)
    def ask(table: list[Sample], about: list[Question]) -> None:
        nonlocal asked
        with ExitStack() as stack:
            held = {name: stack.enter_context(stored(dm, name, table)) for name in BACKENDS}
            for question in about:
                for name, samples in held.items():
                    if wrong := difference(dm, name, samples, question):
                        least = difference(dm, name, samples, smallest(dm, name, samples, question))
                        pytest.fail(f"{name}: {wrong}\n\nat its smallest:\n{least}", pytrace=False)
                    asked += 1

    ask()
    assert asked >= cases(1_000, 20_000)
