"""Any nesting of typed values comes back with the same types and values."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from praval_storage.serialization import (
    Content,
    decode,
    decode_metadata,
    dumps,
    encode,
    encode_metadata,
    loads,
)
from praval_storage.testing.values import same

texts = st.text(st.characters(), max_size=8) | st.sampled_from(
    ["*", "/", "~", "$types", "1", "null", "a\x00", "\ud800"]
)
zones = st.none() | st.timezones() | st.just(dt.UTC)
hashable = st.deferred(
    lambda: (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | texts
        | st.binary(max_size=4)
        | st.dates()
        | st.datetimes(timezones=zones)
        | st.times()
        | st.timedeltas()
        | st.uuids()
        | st.decimals(allow_nan=False)
    )
)
scalars = (
    hashable
    | st.floats()
    | st.decimals()
    | st.complex_numbers()
    | hnp.arrays(
        hnp.scalar_dtypes().filter(lambda dtype: dtype.kind != "O"),
        hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
    )
    | st.integers(-(2**62), 2**62).map(pd.Timestamp)
    | st.integers(-(2**62), 2**62).map(pd.Timedelta)
    | st.floats(width=32).map(np.float32)
    | st.sampled_from([pd.NaT, pd.NA, np.int64(3), 2**63, 1e16, -0.0])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.dictionaries(hashable, inner, max_size=12)
        | st.lists(inner, max_size=4).map(tuple)
        | st.sets(hashable, max_size=4)
        | st.frozensets(hashable, max_size=4)
        | st.tuples(inner, st.integers(9, 12)).map(lambda pair: [pair[0]] * pair[1])
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(values)
def test_any_value_round_trips(value: Any) -> None:
    content = encode(value, format="json" if isinstance(value, np.ndarray) else None)
    types = None if content.types is None else json.loads(json.dumps(content.types))
    assert same(decode(Content(content.format, content.read(), types)), value)


@settings(max_examples=100, deadline=None)
@given(values)
def test_dumps_and_metadata_round_trip(value: Any) -> None:
    assert same(loads(dumps(value)), value)
    text = encode_metadata({"a": value})
    assert "\x00" not in str(json.loads(text))
    assert same(decode_metadata(text), {"a": value})


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([None, 1, 1.5, 1e17, "x", (1,), [1], {1}, dt.date(2020, 1, 1), pd.NaT, b"x"]),
        max_size=40,
    )
)
def test_collapsed_entries_never_touch_their_neighbours(value: list[Any]) -> None:
    """Few kinds in a long list: exactly where ``*`` entries and exact ones meet."""
    rows = [{"a": item, "b": [item, value[0]]} for item in value]
    assert same(decode(encode(value)), value)
    assert same(decode(encode(rows)), rows)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(texts, st.lists(st.floats()) | st.lists(st.integers()) | values, max_size=4))
def test_packing_changes_nothing(value: dict[str, Any]) -> None:
    pointers = {f"/{key.replace('~', '~0').replace('/', '~1').replace('*', '~2')}" for key in value}
    content = encode(value, pack=pointers)
    assert same(decode(Content(content.format, content.read(), content.types)), value)
