"""Looking around by hand: listings, trees, one provider, and what a notebook completes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from custom_provider import MyCustomProvider
from test_reprs import ALLOWED, HOSTILE, Tags

from praval_storage import DataManager, DataReference, KeyNotFoundError, Look, Place, StorageError
from praval_storage.errors import InvalidKeyError, ProviderNotRegisteredError, UnsupportedOperationError
from praval_storage.labels import caseless, containing, natural
from praval_storage.looking.view import PATIENCE
from praval_storage.places import Count, Seen
from praval_storage.providers import FileSystemProvider, RedisProvider
from praval_storage.testing import InMemoryProvider


@pytest.fixture
def dm(tmp_path: Path, free_tcp_port: int) -> Iterator[DataManager]:
    providers = {
        "files": FileSystemProvider(tmp_path),
        "memory": InMemoryProvider(),
        "redis": RedisProvider(port=free_tcp_port, password="pl4nted"),
        "custom": MyCustomProvider({}),
    }
    with DataManager(providers) as manager:
        manager.store_many(
            {f"datasets/part-{n}.json": {"n": n} for n in range(1, 13)} | {"readme.txt": "text", "top": 1},
            "files",
        )
        yield manager


def test_a_listing_is_places_then_references(dm: DataManager) -> None:
    listed = dm.ls("files")
    assert list(listed) == [
        Place("datasets/", "datasets", "folder", parent=True, records=True),
        DataReference("files", "readme.txt"),
        DataReference("files", "top"),
    ]
    assert (len(listed), listed[0], listed[-1]) == (3, listed.places[0], listed.references[-1])
    assert listed == [*listed]
    assert dm.retrieve(listed.references[0]) == "text"
    assert repr(listed).splitlines()[0] == "files://: 1 place, 2 records"


@pytest.mark.parametrize(
    "where, path", [("files://datasets/", ""), ("files", "datasets/"), ("praval://files/datasets/", "")]
)
def test_a_place_is_named_in_several_ways(dm: DataManager, where: str, path: str) -> None:
    listed = dm.ls(where, path)
    assert [reference.key for reference in listed.references] == [
        f"datasets/part-{n}.json" for n in range(1, 13)
    ]
    assert "  part-2.json " in repr(listed)


def test_a_page_that_is_cut_says_so_first_and_goes_on(dm: DataManager) -> None:
    first = dm.ls("files://datasets/", limit=5)
    for form in (repr(first).splitlines()[0], first._repr_html_().partition("</p>")[0]):
        assert "5 records of 12; there is more: .more()" in form
    second = first.more()
    third = second.more()
    assert [len(page) for page in (first, second, third)] == [5, 5, 2]
    assert (third.next, len(third.more())) == (None, 0)
    keys = [reference.key for page in (first, second, third) for reference in page.references]
    assert len(set(keys)) == 12


def test_a_listing_can_be_narrowed_and_ordered(dm: DataManager) -> None:
    listed = dm.ls("files://datasets/", text="PART-1", filters={"n": {"$gt": 10}}, order_by="-key")
    assert [reference.key for reference in listed.references] == [
        "datasets/part-12.json",
        "datasets/part-11.json",
    ]


def test_without_a_place_the_providers_are_listed_and_nobody_is_asked(dm: DataManager) -> None:
    listed = dm.ls()
    assert [place.label for place in listed.places] == ["files", "memory", "redis", "custom"]
    assert "redis://   provider                 unknown not used yet" in repr(listed)


def test_an_unknown_provider_and_one_that_lists_nothing_are_errors(dm: DataManager) -> None:
    with pytest.raises(ProviderNotRegisteredError, match="files, memory, redis, custom"):
        dm.ls("s3://lab/")
    with pytest.raises(ProviderNotRegisteredError, match="Did you mean 'files'"):
        dm.ls("File")
    with pytest.raises(ProviderNotRegisteredError):
        dm["s3"]
    with pytest.raises(UnsupportedOperationError, match="cannot list"):
        dm.ls("custom")
    with pytest.raises(StorageError):
        dm.ls("redis")


def test_a_tree_shows_what_is_where_and_who_is_down(dm: DataManager) -> None:
    text = dm.tree(plain=True)
    assert isinstance(text, str)
    lines = text.splitlines()
    assert lines[:5] == ["DataManager", "  files", "    datasets/", "      part-1.json", "      part-2.json"]
    [redis] = [line for line in lines if line.startswith("  redis")]
    assert "StorageConnectionError" in redis
    assert "pl4nted" not in text
    assert "  custom  UnsupportedOperationError" in text
    assert dm.tree("files", depth=1, plain=True).splitlines() == [
        "files://",
        "  datasets/",
        "    ... more",
        "  readme.txt",
        "  top",
    ]
    assert dm.tree("files", depth=1).truncated
    assert not dm.tree("files", depth=2).truncated


def test_html_is_small_safe_and_says_where_it_was_cut(dm: DataManager, tmp_path: Path) -> None:
    hostile = HOSTILE.partition("\n")[0].replace("/", "\u2215")
    for number in range(40):
        dm.store(1, "files", f"many{number}/{hostile}{number}")
    dm.store_many({f"{a:02}{hostile}/{b}{hostile}": 1 for a in range(20) for b in range(20)}, "memory")
    (tmp_path / hostile).mkdir()
    for thing in (dm.tree(), dm.ls("files"), dm.ls("files://many1/"), dm["files"], dm.ls()):
        html = thing._repr_html_()
        tags = Tags(html)
        assert tags.names <= ALLOWED | {"ul", "li"}
        assert tags.attributes <= {"scope", "open", "style"}
        assert len(html) <= 6_000
        assert "<script" not in html
    assert "cut here" in dm.tree(depth=3)._repr_html_()


def test_a_provider_is_read_by_key(dm: DataManager) -> None:
    files = dm["files"]
    assert files["datasets/part-3.json"] == {"n": 3}
    assert ("readme.txt" in files, "nothing" in files, 7 in files) == (True, False, False)
    with pytest.raises(KeyNotFoundError):
        files["nothing"]
    with pytest.raises(TypeError):
        iter(files)
    assert list(dm) == ["files", "memory", "redis", "custom"]
    assert ("files" in dm, "Files" in dm, 7 in dm) == (True, False, False)
    assert [place.label for place in files.ls().places] == ["datasets"]
    assert str(files.tree("datasets/", depth=1)).splitlines()[1] == "  part-1.json"
    assert repr(dm["redis"]) == "<redis: unknown, not used yet>"


def test_a_place_that_a_completion_offers_is_no_key_and_says_how_to_list_it(dm: DataManager) -> None:
    [place, *_] = dm["files"]._ipython_key_completions_()
    with pytest.raises(InvalidKeyError, match=r"To see what is there: dm\['files'\]\.ls\('datasets/'\)$"):
        dm["files"][place]
    assert len(dm["files"].ls(place).references) == 12
    with pytest.raises(KeyNotFoundError, match=r"dm\['memory'\]\.ls\('a:'\)$"):
        dm["memory"]["a:"]
    dm.store(1, "memory", "a:")
    assert dm["memory"]["a:"] == 1
    with pytest.raises(InvalidKeyError, match="segment ''"):
        dm["files"]["/readme.txt"]


def test_keys_are_completed_one_level_at_a_time(dm: DataManager, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dm._ipython_key_completions_() == ["files", "memory", "redis", "custom"]
    assert dm["files"]._ipython_key_completions_() == ["datasets/", "readme.txt", "top"]
    typed(monkeypatch, "datasets/part-1")
    completed = [f"datasets/part-{n}.json" for n in (1, 10, 11, 12)]
    assert dm["files"]._ipython_key_completions_() == completed
    typed(monkeypatch, "dat")
    assert dm["files"]._ipython_key_completions_() == ["datasets/"]
    typed(monkeypatch, "no/such")
    assert dm["files"]._ipython_key_completions_() == []
    dm.store(1, "files", key="a:b")
    typed(monkeypatch, "a:")  # no place ends so here, and the key is found all the same
    assert dm["files"]._ipython_key_completions_() == ["a:b"]


def test_a_completion_is_no_longer_than_what_is_useful(dm: DataManager) -> None:
    dm.store_many({f"k{n}": n for n in range(300)}, "memory")
    assert len(dm["memory"]._ipython_key_completions_()) == 100


def test_a_completion_never_raises_and_never_waits_long(
    dm: DataManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dm["redis"]._ipython_key_completions_() == []
    assert dm["custom"]._ipython_key_completions_() == []
    monkeypatch.setattr("praval_storage.looking.view.PATIENCE", 0.01)
    never, answered = Event(), Event()

    def slow(self: FileSystemProvider, request: Look) -> Seen:
        never.wait(PATIENCE * 5)
        answered.set()
        return Seen()

    monkeypatch.setattr(FileSystemProvider, "look", slow)
    assert dm["files"]._ipython_key_completions_() == []
    assert not answered.is_set()
    never.set()


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("praval_storage.looking.view._typed", lambda: text)


# Names and numbers


@pytest.mark.parametrize(
    "count, text",
    [
        (Count(1204), "1 204"),
        (Count(1_200_000, "estimate"), "~1.2 M"),
        (Count(999, "estimate"), "~999"),
        (Count(48, "at least"), ">= 48"),
        (Count(0), "0"),
    ],
)
def test_exact_and_estimated_numbers_look_different(count: Count, text: str) -> None:
    assert str(count) == text


def test_names_sort_as_people_count() -> None:
    names = ["point-10", "point-2", "point", "point-02", "point-2b", "", "10", "9", "point-1/1", "\u0661"]
    assert sorted(names, key=natural) == [
        *("", "9", "10", "point", "point-1/1", "point-02", "point-2", "point-2b", "point-10", "\u0661")
    ]


def test_text_is_found_in_either_case_and_ascii_stays_ascii() -> None:
    assert containing("DAY-1")("my-day-13")
    assert containing("\u00c9")("caf\u00e9")
    assert not containing("k")("\u212a")  # the Kelvin sign, whose lower case is k
    assert len(caseless("\u0130\u00df\u1e9eA")) == 4
