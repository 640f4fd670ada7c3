"""The key rules, one by one, and the keys that are made."""

from __future__ import annotations

import unicodedata
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from praval_storage.errors import InvalidKeyError
from praval_storage.keys import MAX_KEY_BYTES, new_key, validate_key

BROKEN_RULES = {
    "": "is empty",
    "a\x00b": "control character or surrogate '\\\\x00' at position 1",
    "a\nb": "control character",
    "a\x7f": "control character",
    "a\x85b": "control character",
    "a\u2028b": "control character",
    "a\ud800": "surrogate",
    "a\\b": "holds a backslash; separate segments with '/'",
    "e\u0301": "not in Unicode normal form C",
    "/": "segment ''",
    "/etc/passwd": "segment ''",
    "a/": "segment ''",
    "a//b": "segment ''",
    ".": r"segment '\.'",
    "..": r"segment '\.\.'",
    "a/../b": r"segment '\.\.'",
    "./a": r"segment '\.'",
    ".praval": "reserved",
    ".praval/index.sqlite": "reserved",
    "a/.praval-tmp": "reserved",
    "x" * 513: "has 513 bytes in UTF-8, more than 512",
    "\u00fc" * 257: "has 514 bytes in UTF-8, more than 512",
    "\U0001f600" * 129: "has 516 bytes",
}
LEGAL = [
    "a",
    "x" * MAX_KEY_BYTES,
    "\u00fc" * 256,
    "a/b/c",
    "...",
    "a/...",
    ".hidden",
    ".pravda",
    "my.praval",
    "session:abc123",
    " leading and trailing ",
    "-rf",
    "~",
    "100%",
    "a?b#c&d=e",
    'it\'s "quoted"',
    "C:",
    "CON",
    "\u65e5\u672c\u8a9e/\U0001f600",
    "\u200b",
]


@pytest.mark.parametrize("key, problem", BROKEN_RULES.items(), ids=ascii)
def test_a_broken_rule_is_named(key: str, problem: str) -> None:
    with pytest.raises(InvalidKeyError, match=problem):
        validate_key(key)


@pytest.mark.parametrize("key", LEGAL, ids=ascii)
def test_what_is_legal_comes_back_as_it_is(key: str) -> None:
    assert validate_key(key) is key


@pytest.mark.parametrize("key", [None, 7, b"a", ["a"], ("a",), 1.5])
def test_a_key_is_a_str(key: object) -> None:
    with pytest.raises(InvalidKeyError, match=f"must be a str, not {type(key).__name__}.*str\\(key\\)"):
        validate_key(key)


def test_a_long_key_is_shortened_in_the_message() -> None:
    with pytest.raises(InvalidKeyError) as caught:
        validate_key("x" * 100_000)
    assert len(str(caught.value)) < 200


@given(st.text(max_size=40))
def test_a_legal_key_keeps_all_the_promises(key: str) -> None:
    try:
        validate_key(key)
    except InvalidKeyError:
        return
    segments = key.split("/")
    assert 1 <= len(key.encode()) <= MAX_KEY_BYTES
    assert unicodedata.normalize("NFC", key) == key
    assert key.isprintable() or not any(
        unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in key
    )
    assert not {"", ".", ".."} & set(segments)
    assert not any(segment.startswith(".praval") for segment in segments)


def test_new_keys_are_legal_unique_and_sort_by_time() -> None:
    keys = []
    for _ in range(20):
        keys.append(new_key())
        sleep(0.002)
    assert keys == sorted(keys)
    assert {UUID(validate_key(key)).version for key in keys} == {7}
    assert len(set(keys)) == len(keys)


def test_new_keys_of_many_threads_do_not_collide() -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: new_key(), range(5_000)))
    assert len(set(keys)) == len(keys)
