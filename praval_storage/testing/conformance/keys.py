"""Key rules: hostile keys are refused before any I/O, odd but legal ones work everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from praval_storage.base import CanQuery
from praval_storage.errors import InvalidKeyError
from praval_storage.manager import DataManager
from praval_storage.reference import DataReference
from praval_storage.testing.conformance._suite import Suite, keys_in, needs

ILLEGAL = {
    "empty": "",
    "traversal": "../outside",
    "inner traversal": "a/../../outside",
    "dot": "a/./b",
    "absolute": "/etc/passwd",
    "trailing slash": "a/",
    "empty segment": "a//b",
    "NUL": "a\x00b",
    "newline": "a\nb",
    "C1 control": "a\x85b",
    "line separator": "a\u2028b",
    "backslash": "a\\..\\b",
    "513 bytes": "x" * 513,
    "514 bytes": "\u00fc" * 257,
    "reserved": ".praval/index.sqlite",
    "reserved below": "a/.praval-x",
    "NFD": "e\u0301",
    "surrogate": "a\udcffb",
    "no str": 7,
    "bytes": b"a",
}
LEGAL = {
    "512 bytes in one segment": "x" * 512,
    "a folder that no file system can have": "y" * 300 + "/z",
    "512 bytes of two-byte letters": "\u00fc" * 256,
    "512 bytes in many segments": "/".join(["ab"] * 170) + "/cd",
    "percent": "100%/%41%00%2F",
    "query and fragment": "a?collection=b&c#d",
    "quotes": 'it\'s "quoted"; DROP TABLE x --',
    "spaces": " leading and trailing ",
    "only a space": " ",
    "leading dot": ".hidden",
    "dots": ".../a..b/..c",
    "leading dash": "-rf/--help",
    "colons": "session:abc:123",
    "Windows device": "CON/NUL.txt/C:",
    "trailing dot": "name.",
    "glob": "a*[b]?{c}",
    "shell": "$HOME/`x`|y>z<&!",
    "tilde": "~/a~b",
    "plus and equals": "a+b=c@d,e",
    "CJK": "\u65e5\u672c\u8a9e/\u30c6\u30b9\u30c8",
    "emoji": "\U0001f600/\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "combining without a composed form": "x\u0301",
    "right to left": "\u05e9\u05dc\u05d5\u05dd",
    "noncharacter": "\uffff",
    "suffix of a companion": "data.json.meta",
    "suffix of a temporary file": "data.tmp~",
    "a uri": "praval:/filesystem/x",
}
SIDE_BY_SIDE = ["a", "a/b", "a/b/c", "a.json", "A", "A/B", "a-b", "a0", "a ", "a%20", "a%2Fb", "\u00e9", "e"]

OPERATIONS: dict[str, Callable[[DataManager, str, Any], object]] = {
    "store": lambda dm, name, key: dm.store(1, name, key),
    "retrieve": lambda dm, name, key: dm.retrieve(DataReference(name, key)),
    "retrieve default": lambda dm, name, key: dm.retrieve(DataReference(name, key), default=None),
    "retrieve_by_key": lambda dm, name, key: dm.retrieve_by_key(name, key),
    "exists": lambda dm, name, key: dm.exists(DataReference(name, key)),
    "exists_by_key": lambda dm, name, key: dm.exists_by_key(name, key),
    "delete": lambda dm, name, key: dm.delete(DataReference(name, key)),
    "delete_by_key": lambda dm, name, key: dm.delete_by_key(name, key),
    "open": lambda dm, name, key: dm.open(DataReference(name, key)),
    "copy from": lambda dm, name, key: dm.copy(DataReference(name, key), name, key="copy"),
    "copy to": lambda dm, name, key: dm.copy(DataReference(name, "there"), name, key=key),
    "move from": lambda dm, name, key: dm.move(DataReference(name, key), name, key="copy"),
    "move to": lambda dm, name, key: dm.move(DataReference(name, "there"), name, key=key),
}


class KeyTests(Suite):
    """The same keys are legal on every provider."""

    @pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
    def test_every_operation_refuses_illegal_keys(
        self, dm: DataManager, storage_type: str, operation: Callable[[DataManager, str, Any], object]
    ) -> None:
        dm.store("untouched", storage_type, "there")
        accepted = []
        for name, key in ILLEGAL.items():
            try:
                accepted.append((name, operation(dm, storage_type, key)))
            except InvalidKeyError:
                continue
        assert accepted == []
        assert dm.retrieve_by_key(storage_type, "there") == "untouched"

    @pytest.mark.parametrize("key", ILLEGAL.values(), ids=ILLEGAL)
    def test_a_batch_reports_illegal_keys_and_stores_the_rest(
        self, dm: DataManager, storage_type: str, key: Any
    ) -> None:
        outcomes = list(dm.store_many([1, 2, 3], storage_type, ["x", key, "y"]))
        assert [type(outcome.error) for outcome in outcomes] == [type(None), InvalidKeyError, type(None)]
        assert dm.retrieve_by_key(storage_type, "y") == 3

    @needs(CanQuery)
    def test_illegal_keys_leave_nothing_behind(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many(dict.fromkeys(map(str, ILLEGAL.values()), 1), storage_type)
        legal = ["7", "b'a'"]  # as str they are
        assert keys_in(dm, storage_type) == legal

    @pytest.mark.parametrize("key", LEGAL.values(), ids=LEGAL)
    def test_odd_keys_work_in_every_operation_and_in_uris(
        self, dm: DataManager, storage_type: str, key: str
    ) -> None:
        reference = dm.store({"key": key}, storage_type, key)
        assert reference.key == key
        assert DataReference.from_uri(reference.uri) == reference
        assert dm.retrieve(reference.uri) == {"key": key}
        assert dm.retrieve_by_key(storage_type, key) == {"key": key}
        assert dm.exists(reference)
        assert dm.retrieve(dm.copy(reference, storage_type, key="copy")) == {"key": key}
        assert dm.delete(reference.uri)
        assert not dm.exists_by_key(storage_type, key)

    @needs(CanQuery)
    def test_odd_keys_are_listed_and_found(self, dm: DataManager, storage_type: str) -> None:
        wanted = sorted({*LEGAL.values(), *SIDE_BY_SIDE})
        outcomes = dm.store_many({key: {"key": key} for key in wanted}, storage_type)
        assert [outcome.error for outcome in outcomes] == [None] * len(wanted)
        assert keys_in(dm, storage_type) == wanted
        assert [data["key"] for data in dm.query(storage_type, limit=None, order_by="key")] == wanted
        for key in wanted:
            assert dm.query(storage_type, {"key": key}) == [{"key": key}]
            assert keys_in(dm, storage_type, key) == [other for other in wanted if other.startswith(key)]

    def test_similar_keys_are_different_records(self, dm: DataManager, storage_type: str) -> None:
        for key in SIDE_BY_SIDE:
            dm.store({"key": key}, storage_type, key)
        for key in SIDE_BY_SIDE:
            assert dm.retrieve_by_key(storage_type, key) == {"key": key}
        for place, key in enumerate(SIDE_BY_SIDE):
            assert dm.delete_by_key(storage_type, key)
            there = [other for other in SIDE_BY_SIDE if dm.exists_by_key(storage_type, other)]
            assert there == SIDE_BY_SIDE[place + 1 :]

    def test_a_prefix_of_a_key_is_not_there(self, dm: DataManager, storage_type: str) -> None:
        dm.store(1, storage_type, "folder/file")
        assert not dm.exists_by_key(storage_type, "folder")
        assert dm.delete_by_key(storage_type, "folder") is False
        assert dm.retrieve_by_key(storage_type, "folder", default="none") == "none"
        assert dm.exists_by_key(storage_type, "folder/file")

    def test_keys_that_are_made_are_unique_and_in_order(self, dm: DataManager, storage_type: str) -> None:
        keys = [dm.store(number, storage_type).key for number in range(3)]
        keys += [outcome.value.key for outcome in dm.store_many([3, 4, 5], storage_type)]
        assert len(set(keys)) == 6
        assert keys == sorted(keys)
        assert [dm.retrieve_by_key(storage_type, key) for key in keys] == list(range(6))
