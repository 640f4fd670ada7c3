"""How far a copy is: one line on stderr, or a function that is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from praval_storage.display import counted, size_text
from praval_storage.results import Outcome

Progress = bool | Callable[[int, int], object]
Report = Callable[[Sequence[Outcome]], None]


@contextmanager
def reporting(progress: Progress, verb: str, total: int) -> Iterator[Report]:
    """Something to call with the outcomes of each step.

    Args:
        progress: ``True`` for a line on stderr (``PRAVAL_PROGRESS=0`` turns all of them off), or a function
            of how many are done and how many there are.
        verb: What is done to the records, as in "copied".
        total: How many there are.
    """
    if progress is True and os.environ.get("PRAVAL_PROGRESS") != "0":
        with _Line(verb, total) as line:
            yield line.add
    elif callable(progress):
        yield _counting(progress, total)
    else:
        yield lambda outcomes: None


def _counting(tell: Callable[[int, int], object], total: int) -> Report:
    done = 0

    def add(outcomes: Sequence[Outcome]) -> None:
        nonlocal done
        done += len(outcomes)
        tell(done, total)

    return add


class _Line:
    """One line that is written over, and ends as a summary that stays."""

    def __init__(self, verb: str, total: int) -> None:
        self._verb = verb
        self._total = total
        self._done: list[Outcome] = []
        self._started = perf_counter()
        self._width = 0

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        failed = sum(not outcome.ok for outcome in self._done)
        size = sum(outcome.value.size or 0 for outcome in self._done if outcome.ok)
        seconds = perf_counter() - self._started
        parts = [self._so_far() if kind else f"{self._verb} {counted(len(self._done) - failed, 'record')}"]
        parts += [size_text(size), f"{seconds:.1f} s"]
        parts += [f"{failed} failed"] if failed else []
        parts += ["interrupted"] if kind else []
        self._write(", ".join(parts))
        sys.stderr.write("\n")

    def add(self, outcomes: Sequence[Outcome]) -> None:
        self._done += outcomes
        self._write(self._so_far())

    def _so_far(self) -> str:
        return f"{self._verb} {len(self._done)} of {counted(self._total, 'record')}"

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r{text:<{self._width}}")
        sys.stderr.flush()
        self._width = len(text)
