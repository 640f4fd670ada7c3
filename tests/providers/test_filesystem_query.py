"""Queries of the filesystem provider: what SQLite is asked, what is walked, and the right answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import cases
from hypothesis import HealthCheck, given, settings

from praval_storage.filters import parse, parse_order, sort_records
from praval_storage.providers.filesystem import FileSystemProvider, index, listing
from praval_storage.providers.filesystem.tree import Tree
from praval_storage.records import Draft, Record
from praval_storage.scan import Scan
from praval_storage.selection import Selection, select
from praval_storage.testing import strategies
from praval_storage.testing.strategies import Sample

NOW = datetime(2025, 1, 15, 12, tzinfo=UTC)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[FileSystemProvider]:
    with FileSystemProvider(tmp_path / "data", durable=False) as provider:
        yield provider


def ask(
    provider: FileSystemProvider, filters: Any, order: str | None = None, limit: int | None = None
) -> Selection:
    return select(provider, Scan(parse(filters), parse_order(order), limit), datetime.now(UTC))


def keys(
    provider: FileSystemProvider, filters: Any, order: str | None = None, limit: int | None = None
) -> list[str]:
    return [row.key for row in ask(provider, filters, order, limit).rows]


Scene = tuple[FileSystemProvider, list[Record]]


def random_samples() -> list[Sample]:
    found: list[Sample] = []

    @settings(max_examples=60, database=None, derandomize=True, suppress_health_check=[*HealthCheck])
    @given(strategies.records(json_only=False, nan=True))
    def collect(drawn: Sample) -> None:
        found.append(drawn)

    collect()
    names = [*strategies.KEYS, *(f"more/{n}" for n in range(len(found)))]
    return [replace(sample, key=key) for sample, key in zip(found, names, strict=False)]


def as_draft(sample: Sample) -> Draft:
    metadata = {name: value for name, value in sample.metadata.items() if not name.startswith("$")}
    return Draft(sample.key, sample.data, metadata, sample.updated_at or NOW, created_at=sample.created_at)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One collection of a tree, with files we wrote and files others did."""
    root = tmp_path_factory.mktemp("scene")
    with FileSystemProvider(root, durable=False) as whole:
        provider = whole.in_collection("some where")
        provider.write([as_draft(sample) for sample in random_samples()])
        whole.write([Draft(f"elsewhere/{n}", n, {"a": n}, NOW) for n in range(3)])
        for name in ("foreign.json", "dir/foreign.txt", "k1x"):
            Path(root, "some where", name).write_text("1")
        os.utime(root / "some where/k2")
        yield provider, [Record(row, provider.load) for row in ask(provider, {}).rows]


def test_what_was_written_is_there(scene: Scene) -> None:
    _, records = scene
    assert len(records) > 40
    assert [record.key for record in records if record.version is None] == [
        "dir/foreign.txt",
        "foreign.json",
        "k1x",
    ]


@settings(max_examples=cases(300, 20_000), deadline=None, suppress_health_check=[*HealthCheck])
@given(strategies.filters(json_only=False, nan=True), strategies.orders(), strategies.limits())
def test_the_answer_is_the_reference(
    scene: Scene, filters: Any, order: str | None, limit: int | None
) -> None:
    provider, records = scene
    node = parse(filters)
    matching = [record for record in records if node.matches(record)]
    expected = [record.key for record in sort_records(matching, parse_order(order or "key"))]
    found = ask(provider, filters, order, limit)
    assert [row.key for row in found.rows] == expected[:limit]
    assert found.truncated == (limit is not None and len(expected) > limit)


class TestThePlan:
    @pytest.mark.parametrize(
        "filters",
        [
            {"metadata.kind": "k1"},
            {"metadata.kind": {"$in": ["k1", None]}, "metadata.n": {"$exists": True}},
            {"metadata.kind": {"$gte": "k1"}, "key": {"$prefix": "a"}},
            {"$or": [{"metadata.on": True}, {"metadata.kind": {"$prefix": "k"}}]},
            {"metadata.kind": {"$contains": "1"}, "size": {"$lt": 10}, "format": "json"},
            {"metadata.kind": {"$not": {"$ne": "k1"}}, "created_at": {"$lte": NOW}},
        ],
    )
    def test_metadata_is_asked_of_the_index_alone(self, provider: FileSystemProvider, filters: Any) -> None:
        provider.write([Draft(f"a{n}", n, {"kind": f"k{n % 2}", "n": n, "on": n > 5}, NOW) for n in range(9)])
        plan = ask(provider, filters).plan
        assert (plan.index, plan.residual, plan.scanned) == ("index.sqlite", {}, plan.returned)
        assert plan.returned > 0

    def test_numbers_are_verified(self, provider: FileSystemProvider) -> None:
        values = [0.1, 0.1 + 2**-56, 3, 2**53, 2**53 + 1, 1e300, -5e-324, 10**30]
        provider.write([Draft(f"{n}", n, {"n": value}, NOW) for n, value in enumerate(values)])
        for value in values:
            assert keys(provider, {"metadata.n": value}) == [
                str(n) for n, v in enumerate(values) if v == value
            ]
            above = [str(n) for n, other in enumerate(values) if other > value]
            assert keys(provider, {"metadata.n": {"$gt": value}}) == above

    def test_a_condition_that_files_of_others_meet_is_walked(self, provider: FileSystemProvider) -> None:
        provider.write([Draft("a", 1, {"kind": "x"}, NOW), Draft("b", 1, {"kind": "y"}, NOW)])
        Path(provider.base_path, "c").write_text("theirs")
        found = ask(provider, {"metadata.kind": {"$ne": "x"}})
        assert ([row.key for row in found.rows], found.plan.index) == (["b", "c"], "directory walk")
        assert (found.plan.residual, found.plan.hint) == (
            {},
            listing._hint(parse({"metadata.a": 1}), False),
        )
        assert ask(provider, {"key": {"$prefix": "a"}}).plan.hint is None

    def test_typed_fields_do_not_spoil_the_others(
        self, provider: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        later = NOW + timedelta(days=1)
        metadata = [{"kind": f"k{n % 5}", "at": (NOW, later)[n % 2], "odd": "\x01"} for n in range(20)]
        provider.write([Draft(f"{n:02}", n, one, NOW) for n, one in enumerate(metadata)])
        assert keys(provider, {"metadata.at": {"$gt": NOW}}) == [f"{n:02}" for n in range(1, 20, 2)]
        assert keys(provider, {"metadata.at": {"$not": {"$gt": NOW}}}) == [f"{n:02}" for n in range(0, 20, 2)]
        assert len(keys(provider, {"metadata.odd": "\x01"})) == 20
        decoded: list[object] = []
        monkeypatch.setattr("praval_storage.records.decode_metadata", decoded.append)
        assert len(keys(provider, {"metadata.kind": "k1"})) == 4
        assert decoded == []

    def test_data_is_read_only_where_it_must_be(self, provider: FileSystemProvider) -> None:
        provider.write([Draft(f"{n:02}", {"n": n}, {"kind": f"k{n % 2}"}, NOW) for n in range(20)])
        found = ask(provider, {"n": {"$gte": 5}, "metadata.kind": "k1"})
        assert [row.key for row in found.rows] == ["05", "07", "09", "11", "13", "15", "17", "19"]
        assert (found.plan.scanned, found.plan.residual) == (10, {"n": {"$gte": 5}})
        assert "metadata" in (found.plan.hint or "")


class TestOrderAndLimits:
    NAMES = (
        "a",
        "a b",
        "a-b",
        "a/b",
        "a/b-c",
        "a/b/c",
        "a0",
        "b",
        "z\uffff",
        "z\U0001f600",
        "\u00e9/x",
        "A/x",
    )

    @pytest.mark.parametrize("filters", [{}, {"metadata.n": {"$exists": True}}])
    def test_key_order_is_code_point_order_of_the_whole_key(
        self, provider: FileSystemProvider, filters: Any
    ) -> None:
        provider.write([Draft(name, name, {"n": name}, NOW) for name in self.NAMES])
        assert keys(provider, filters, "key") == keys(provider, filters) == sorted(self.NAMES)
        assert keys(provider, filters, "-key") == sorted(self.NAMES, reverse=True)
        assert ask(provider, filters, "-key", 2).plan.order == "native"
        for limit in range(len(self.NAMES) + 2):
            assert keys(provider, filters, "-key", limit) == sorted(self.NAMES, reverse=True)[:limit]

    @pytest.mark.parametrize(
        "prefix", ["a", "a/", "a/b", "a/b/", "z", "\u00e9", "nothing", "a/nothing/", "\U0010ffff"]
    )
    def test_a_prefix_need_not_end_at_a_slash(self, provider: FileSystemProvider, prefix: str) -> None:
        provider.write([Draft(name, name, {"n": name}, NOW) for name in self.NAMES])
        expected = sorted(name for name in self.NAMES if name.startswith(prefix))
        assert keys(provider, {"key": {"$prefix": prefix}}) == expected
        assert keys(provider, {"key": {"$prefix": prefix}, "metadata.n": {"$exists": True}}) == expected

    @pytest.mark.parametrize("filters", [{}, {"metadata.n": {"$gte": 0}}])
    def test_many_pages(
        self, provider: FileSystemProvider, filters: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [f"{n % 3}/{n}" for n in range(500)]
        provider.write([Draft(name, n, {"n": n}, NOW) for n, name in enumerate(names)])
        if not filters:
            names += [f"1/theirs {n}" for n in range(200)]
            for name in names[500:]:
                Path(provider.base_path, name).touch()
        for size in (1, 7, 64):
            for module in ("index", "listing"):
                monkeypatch.setattr(f"praval_storage.providers.filesystem.{module}.FIRST_PAGE", size)
                monkeypatch.setattr(f"praval_storage.providers.filesystem.{module}.LAST_PAGE", size * 3)
            assert keys(provider, filters) == sorted(names)
            assert keys(provider, filters, "-key") == sorted(names, reverse=True)

    def test_a_low_limit_stops_early(
        self, provider: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.write([Draft(f"{n % 50:02}/{n}", n, {"n": n}, NOW) for n in range(1_000)])
        opened: list[str] = []
        entries = Tree._entries

        def counted(tree: Tree, folder: str, *args: Any, **options: Any) -> Any:
            opened.append(folder)
            return entries(tree, folder, *args, **options)

        monkeypatch.setattr(Tree, "_entries", counted)
        assert len(keys(provider, {}, None, 10)) == 10
        assert len(opened) < 10
        asked: list[int] = []
        page = index.Index._page
        monkeypatch.setattr(
            index.Index, "_page", lambda index, *args: asked.append(args[3]) or page(index, *args)
        )
        assert len(keys(provider, {"metadata.n": {"$gte": 0}}, None, 10)) == 10
        assert sum(asked) <= 64
