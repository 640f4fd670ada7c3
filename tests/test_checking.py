"""``check_provider``: the conformance suite as a call, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from praval_storage import ConfigurationError
from praval_storage.providers import FileSystemProvider
from praval_storage.testing import Conformance, InMemoryProvider, check_provider


class Forgetful(InMemoryProvider):
    """Says that it deletes, and does not."""

    def remove(self, keys: Sequence[str]) -> list[bool]:
        return [True for _ in keys]


@pytest.fixture(scope="module")
def good() -> Conformance:
    return check_provider(FileSystemProvider, parts=["search", "writing", "batches"])


@pytest.fixture(scope="module")
def bad() -> Conformance:
    return check_provider(lambda folder: Forgetful(), parts=["writing"])


def test_what_keeps_its_promises_is_ok(good: Conformance) -> None:
    assert good.ok
    assert good.failures == []
    good.raise_for_failures()
    assert {test.part: test.outcome for test in good.tests} == {
        "writing": "passed",
        "batches": "passed",
        "search": "skipped",
    }
    assert [*good.skipped] == ["FileSystemProvider is no CanSearch"]
    names = {test.name for test in good.tests if test.part == "writing"}
    assert "a missing key is an error or the default" in names


def test_what_breaks_one_is_named_with_the_reason(bad: Conformance) -> None:
    assert not bad.ok
    broken = {test.name: test.reason for test in bad.failures}
    assert broken["deleting says whether it was there"] == "AssertionError: assert True is False"
    assert "a missing key is an error or the default" not in broken
    with pytest.raises(AssertionError, match="deleting says whether it was there"):
        bad.raise_for_failures()


def test_it_is_a_table(good: Conformance, bad: Conformance) -> None:
    first, header, *rows = repr(good).splitlines()
    counts = {test.outcome: 0 for test in good.tests}
    for test in good.tests:
        counts[test.outcome] += 1
    expected = f"{counts['passed']} passed, 0 failed, {counts['skipped']} do not apply"
    assert first == f"FileSystemProvider: {expected}"
    assert header.split(maxsplit=3) == ["suite", "passed", "failed", "do not apply"]
    assert [row.split()[0] for row in rows] == ["writing", "batches", "search"]
    assert f"Forgetful breaks {len(bad.failures)} promises" in repr(bad)
    for html in (good._repr_html_(), bad._repr_html_()):
        assert html.startswith("<div><p>")
        assert "<style" not in html


def test_long_lists_are_cut_and_hostile_texts_are_text() -> None:
    class Hostile(Forgetful):
        def put(self, items: Any, *, overwrite: bool) -> Any:
            raise RuntimeError("<img src=x onerror=alert(1)>")

    found = check_provider(lambda folder: Hostile(), parts=["limits"])
    assert len(found.failures) > 10
    assert len(repr(found).splitlines()) < 20
    assert "more" in repr(found)
    assert "<img" not in found._repr_html_()
    assert "&lt;img" in found._repr_html_()


def test_it_neither_prints_nor_leaves_anything(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conftest.py").write_text("raise AssertionError('read')")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --not-an-option")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--not-an-option")
    folders: list[Path] = []

    def make(folder: Path) -> InMemoryProvider:
        folders.append(folder)
        assert list(folder.iterdir()) == []
        return InMemoryProvider()

    assert check_provider(make, parts=["previews"]).ok
    assert capfd.readouterr() == ("", "")
    assert len(set(folders)) == len(folders) > 1
    assert not any(folder.exists() for folder in folders)
    assert {path.name for path in tmp_path.iterdir()} == {"conftest.py", "pytest.ini"}


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda folder: InMemoryProvider, "no BaseStorageProvider but <class"),
        (lambda folder: None, "but None"),
    ],
)
def test_what_makes_no_provider_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_provider(make)


def test_what_cannot_be_made_fails_once_and_as_it_is() -> None:
    def make(folder: Path) -> InMemoryProvider:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check_provider(make)


def test_an_unknown_part_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no part writin\. Its parts: values, keys, writing"):
        check_provider(lambda folder: InMemoryProvider(), parts=["writin"])
