"""The conformance suite on one provider, from a notebook or a script: no files, no command line."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest

from praval_storage.base import BaseStorageProvider
from praval_storage.display import SHOWN, Table, as_html, as_text, counted, printable
from praval_storage.errors import ConfigurationError

Make = Callable[[Path], BaseStorageProvider]

MAKE: pytest.StashKey[Make] = pytest.StashKey()
"""Where the suite that pytest collects finds what makes the provider."""

# Whatever the user's own project sets up for pytest is for its tests, not for these.
_OPTIONS = (
    *("--pyargs", "praval_storage.testing._under_test"),
    *("--config-file", os.devnull, "--override-ini=addopts=", "--noconftest", "--disable-plugin-autoload"),
    *("-p", "no:cacheprovider", "-p", "no:faulthandler", "--capture=sys", "--tb=short"),
)
_OUTCOMES = {"passed": "passed", "failed": "failed", "skipped": "do not apply"}


@dataclass(frozen=True, slots=True)
class Checked:
    """One test.

    Attributes:
        part: The part of the suite it belongs to, such as ``"values"``.
        name: Its name: the promise, as a sentence.
        outcome: ``"passed"``, ``"failed"`` or, where it is no promise of this provider, ``"skipped"``.
        reason: Why it failed or does not apply.
    """

    part: str
    name: str
    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Conformance:
    """What the suite said of a provider: a table of its parts, and below it what failed.

    Attributes:
        provider: What was tested.
        tests: Every test, in the order of the suite.
    """

    provider: str
    tests: tuple[Checked, ...]

    @property
    def ok(self) -> bool:
        """Whether the provider keeps every promise it makes."""
        return not self.failures

    @property
    def failures(self) -> list[Checked]:
        """The tests that failed."""
        return [test for test in self.tests if test.outcome == "failed"]

    @property
    def skipped(self) -> dict[str, int]:
        """Why tests do not apply, and how many."""
        return dict(Counter(test.reason for test in self.tests if test.outcome == "skipped").most_common())

    def raise_for_failures(self) -> None:
        """Raise ``AssertionError`` with all that failed, if anything did."""
        if self.failures:
            raise AssertionError(as_text(self._failed()))

    def __repr__(self) -> str:
        return "\n".join(map(as_text, self._tables()))

    def _repr_html_(self) -> str:
        return "".join(map(as_html, self._tables()))

    def _tables(self) -> Iterator[Table]:
        count = Counter((test.part, test.outcome) for test in self.tests)
        parts = dict.fromkeys(test.part for test in self.tests)
        rows = [[part, *(str(count[part, outcome]) for outcome in _OUTCOMES)] for part in parts]
        sums = [
            f"{sum(test.outcome == outcome for test in self.tests)} {words}"
            for outcome, words in _OUTCOMES.items()
        ]
        yield Table(f"{self.provider}: {', '.join(sums)}", ("suite", *_OUTCOMES.values()), rows, 0)
        if self.failures:
            yield self._failed(SHOWN)

    def _failed(self, shown: int | None = None) -> Table:
        rows = [(test.part, printable(test.name, 100), printable(test.reason, 200)) for test in self.failures]
        title = f"{self.provider} breaks {counted(len(rows), 'promise')}"
        return Table(
            title, ("suite", "promise", "what happened"), rows[:shown], len(rows) - len(rows[:shown])
        )


def check_provider(make: Make, *, parts: Collection[str] | None = None) -> Conformance:
    """Run the conformance suite on a provider: half a minute for one that claims much.

        check_provider(lambda folder: MyProvider(folder / "data"))

    Needs pytest, and nothing of how it is set up elsewhere. In a test suite subclass
    :class:`ProviderConformance` instead, which also takes ``write_foreign``.

    Args:
        make: Makes the provider, fresh and empty each time, of an empty folder that it may use.
        parts: Only these parts of the suite, such as ``["values", "keys"]``.

    Raises:
        ConfigurationError: What is made is no provider, there is no such part, or pytest could not run.
    """
    run = _Run(make, parts, _name_of(make))
    code, said = _run_pytest(run)
    if unknown := set(parts or ()) - {*run.known}:
        raise ConfigurationError(
            f"The suite has no part {', '.join(sorted(unknown))}", hint=f"Its parts: {', '.join(run.known)}"
        )
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise ConfigurationError(f"pytest could not run the suite:\n{said}")
    return Conformance(run.provider, tuple(run.tests.values()))


def _run_pytest(run: _Run) -> tuple[int, str]:
    """What pytest answers, and what it prints."""
    said = io.StringIO()
    with TemporaryDirectory() as folder, patch.dict(os.environ), redirect_stdout(said), redirect_stderr(said):
        for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
            os.environ.pop(name, None)
        places = ["--rootdir", folder, "--basetemp", str(Path(folder, "tests"))]
        return pytest.main([*_OPTIONS, *places], plugins=[run]), said.getvalue()


def _name_of(make: Make) -> str:
    """The class of what is made; what cannot be made at all fails here, once."""
    with TemporaryDirectory() as folder:
        provider: object = make(Path(folder))  # notebooks are not type-checked
        if not isinstance(provider, BaseStorageProvider):
            raise ConfigurationError(f"What was made is no BaseStorageProvider but {provider!r}")
        provider.close()
        return type(provider).__name__


class _Run:
    """A plugin of pytest that hands in the provider and collects what becomes of each test."""

    def __init__(self, make: Make, parts: Collection[str] | None, provider: str) -> None:
        self._make = make
        self._parts = parts
        self._part_of: dict[str, str] = {}
        self.provider = provider
        self.known: list[str] = []
        self.tests: dict[str, Checked] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[MAKE] = self._make

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self._part_of = {item.nodeid: _part(item) for item in items}
        bases = items[0].cls.__mro__ if items and isinstance(items[0], pytest.Function) else ()
        self.known = [part for base in bases if (part := _module(base)) in self._part_of.values()]
        wanted = [item for item in items if self._parts is None or self._part_of[item.nodeid] in self._parts]
        # pytest has the last base class first.
        items[:] = sorted(wanted, key=lambda item: self.known.index(self._part_of[item.nodeid]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = self.tests.get(report.nodeid)
        if known is None or report.outcome != "passed":
            name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
            part = self._part_of[report.nodeid]
            self.tests[report.nodeid] = Checked(part, name, report.outcome, _reason(report))


def _part(item: pytest.Item) -> str:
    return _module(item.function) if isinstance(item, pytest.Function) else ""


def _module(what: object) -> str:
    return str(what.__module__).rpartition(".")[2]


def _reason(report: pytest.TestReport) -> str:
    if report.skipped and isinstance(report.longrepr, Sequence):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message).partition("\n")[0] if crash else report.longreprtext
