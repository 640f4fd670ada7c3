"""Single values as they look: what is different looks different, and what is copied is what was stored."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from conftest import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from praval_storage.cells import LONGEST, Cell, cell, quoted

NAIVE = datetime.fromisoformat("2026-01-01T00:00:00.000005")
DIFFERENT: list[Any] = [
    *(None, "null", "None", "", " ", "  ", "   ", "\t", "\n", "\u00a0", "␣", "␣␣", "<empty>"),
    *(math.nan, "NaN", "nan", math.inf, -math.inf, "inf", "-inf", pd.NaT, "NaT", "true", True, False),
    *(0, 0.0, -0.0, "0", "0.0", "-0.0", 1, 1.0, "1", "1.0", "1e3", " a", "a ", "a", '"a"', "'a'"),
    *(2**63, 2**63 - 1, -(2**63), 2.0**63, 1e-300, 5e-324, 1e300, 10**40, 0.1, 0.1 + 0.2),
    *(date(2026, 1, 1), NAIVE, datetime(2026, 1, 1, tzinfo=UTC), time(0, 0)),
    datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    *(timedelta(0), timedelta(days=1), b"", b"a", [], {}, [1], {"a": 1}, (1,), UUID(int=1)),
]


def test_values_that_are_different_look_different_without_any_colour() -> None:
    looks: dict[str, Any] = {}
    for value in DIFFERENT:
        text = cell(value).text
        assert text not in looks, f"{value!r} looks like {looks.get(text)!r}: {text}"
        looks[text] = value


@pytest.mark.parametrize(
    "value, text, kind",
    [
        (None, "null", "null"),
        ("", "<empty>", "empty"),
        ("  ", "␣␣", "blank"),
        (" a", '" a"', "text"),
        ("a\t", '"a\\t"', "text"),
        ("[1]", '"[1]"', "text"),
        ("NaN", '"NaN"', "text"),
        ("1e3", '"1e3"', "text"),
        ("a b", "a b", "text"),
        (" " * 9, "␣␣␣␣␣␣␣␣ (9 blanks)", "blank"),
        (math.nan, "NaN", "nan"),
        (math.inf, "inf", "infinite"),
        (-math.inf, "-inf", "infinite"),
        (pd.NaT, "NaT", "nat"),
        (np.datetime64("NaT"), "NaT", "nat"),
        (np.timedelta64("NaT"), "NaT", "nat"),
        (pd.NA, "null", "null"),
        (np.float32("nan"), "NaN", "nan"),
        (Decimal("NaN"), "NaN", "nan"),
        (-0.0, "-0.0", "number"),
        (2**63, "9223372036854775808", "number"),
        (1e-300, "1e-300", "number"),
        (np.float32(0.1), "0.1", "number"),
        (np.int8(-5), "-5", "number"),
        (np.bool_(True), "true", "boolean"),
        (np.str_("x"), "x", "text"),
        (np.datetime64("2026-01-01T00:00"), "2026-01-01T00:00", "time"),
        (pd.Timestamp("2026-01-01", tz="UTC"), "2026-01-01 00:00:00+00:00", "time"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01 00:00:00+00:00", "time"),
        (
            datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")),
            "2026-07-01 00:00:00+02:00 [Europe/Berlin]",
            "time",
        ),
        (b"\x00" * 1_000, "<bytes 1.0 kB>", "bytes"),
        (memoryview(b"abc"), "<bytes 3 B>", "bytes"),
        ({"a": [1, 2]}, "{'a': [1, 2]}", "nested"),
        ("a\nb\u202ec", "a\\nb\\u202ec", "text"),
    ],
)
def test_how_a_value_looks(value: Any, text: str, kind: str) -> None:
    assert cell(value)[:2] == (text, kind)


@pytest.mark.parametrize(
    "value, make",
    [
        *((text, str) for text in ("", "  ", "NaN", "a\nb", "\u202e", "'", "x" * 500)),
        *((number, int) for number in (0, -1, 2**63, 10**60)),
        *((number, float) for number in (0.0, 1e-300, 0.1 + 0.2, math.inf, 5e-324)),
        *((text, Decimal) for text in (Decimal("1.10"), Decimal("-0"), Decimal("1E+400"))),
        (NAIVE, datetime.fromisoformat),
        (datetime(2026, 7, 1, tzinfo=UTC), datetime.fromisoformat),
        (date(2026, 7, 1), date.fromisoformat),
        (UUID(int=5), UUID),
        (b"\x00\xff", bytes.fromhex),
    ],
)
def test_the_copied_text_makes_the_value_again(value: Any, make: Any) -> None:
    copied = cell(value).copy
    assert copied is not None
    assert make(copied) == value
    assert repr(make(copied)) == repr(value)


@settings(max_examples=cases(500))
@given(st.text(max_size=300))
def test_any_text_is_one_short_line_and_can_be_copied(text: str) -> None:
    for found in (cell(text), quoted(text)):
        assert found.copy == text
        assert found.text.isprintable()
        assert len(found.text) <= LONGEST + 2


@settings(max_examples=cases(500))
@given(st.text(max_size=20), st.one_of(st.none(), st.booleans(), st.integers(), st.floats()))
def test_a_text_never_looks_like_another_kind_of_value(text: str, other: Any) -> None:
    assert cell(text).text != cell(other).text


@settings(max_examples=cases(300))
@given(st.floats() | st.integers() | st.decimals())
def test_a_copied_number_is_the_number(number: Any) -> None:
    found = cell(number)
    again = type(number)(found.copy)
    assert repr(again) == repr(number) or number != number


def test_what_cannot_be_copied_whole_says_so() -> None:
    assert cell("x" * 3_000).copy is None
    assert cell(b"x" * 3_000).copy is None
    assert cell(10**5_000) == Cell("<integer of 16610 bits>", "number", None)
    assert Cell("a", "text", None).payload() == {"text": "a", "kind": "text"}
    assert Cell("<empty>", "empty", "").payload() == {"text": "<empty>", "kind": "empty", "copy": ""}


def test_an_object_of_any_class_has_a_look_of_limited_length() -> None:
    class Loud:
        def __repr__(self) -> str:
            return "<b>loud</b>" * 1_000

    found = cell(Loud())
    assert found.text.startswith("<Loud> ")
    assert len(found.text) <= LONGEST + 10
    assert found.kind == "other"
