"""Charts of results: which columns in which kind of chart, on matplotlib and on a backend of our own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import uuid4

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from praval_storage import ConfigurationError, DataManager
from praval_storage.testing import InMemoryProvider

DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def dm() -> Iterator[DataManager]:
    with DataManager({"m": InMemoryProvider()}) as manager:
        yield manager


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SimpleNamespace]]:
    """What a backend of our own was given; it returns how many charts it has drawn."""
    charts: list[SimpleNamespace] = []

    def plot(data: Any, kind: str, **options: Any) -> str:
        charts.append(SimpleNamespace(data=data, kind=kind, **options))
        return f"chart {len(charts)}"

    name = f"backend_{uuid4().hex}"  # pandas remembers them by name
    backend = ModuleType(name)
    backend.plot = plot  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, backend)
    with pd.option_context("plotting.backend", name):
        yield charts


@pytest.fixture
def figures() -> Iterator[None]:
    before = mpl.get_backend()
    mpl.use("agg")
    yield
    plt.close("all")
    mpl.use(before)


def result(dm: DataManager, records: list[Any], **options: Any) -> Any:
    dm.store_many(records, "m", [f"k{n:02}" for n in range(len(records))])
    return dm.query("m", order_by="key", **options)


SERIES = [
    {"at": DAY + timedelta(hours=7 * n % 24), "load": n, "room": "ab"[n % 2], "ok": True} for n in range(24)
]
NUMBERS = [{"x": n, "y": n * n, "vector": [1.0, 2.0]} for n in range(10)]
GROUPS = [{"room": "abc"[n % 3], "load": n} for n in range(12)]


def test_numbers_over_time_are_lines_in_the_order_of_time(dm: DataManager, drawn: list[Any]) -> None:
    assert result(dm, SERIES).plot() == "chart 1"
    [chart] = drawn
    assert (chart.kind, chart.x, chart.y) == ("line", "at", ["load"])
    assert chart.data["at"].is_monotonic_increasing


def test_two_columns_of_numbers_are_a_scatter_plot_and_vectors_are_not_drawn(
    dm: DataManager, drawn: list[Any]
) -> None:
    result(dm, NUMBERS).plot()
    assert (drawn[0].kind, drawn[0].x, drawn[0].y) == ("scatter", "x", "y")
    result(dm, NUMBERS).plot(x="y")
    assert (drawn[1].x, drawn[1].y) == ("y", "x")


def test_numbers_of_categories_are_the_mean_of_each(dm: DataManager, drawn: list[Any]) -> None:
    result(dm, GROUPS).plot()
    assert drawn[0].kind == "bar"
    assert drawn[0].data.to_dict() == {"c": 6.5, "b": 5.5, "a": 4.5}
    assert drawn[0].data.name == "mean of load"


def test_categories_alone_are_counted(dm: DataManager, drawn: list[Any]) -> None:
    result(dm, [{"room": "aab"[n % 3]} for n in range(9)]).plot()
    assert (drawn[0].kind, drawn[0].data.to_dict()) == ("bar", {"a": 6, "b": 3})


def test_many_categories_are_cut_to_the_largest(dm: DataManager, drawn: list[Any]) -> None:
    result(dm, [{"c": f"c{n % 40}", "n": n} for n in range(90)]).plot()
    assert len(drawn[0].data) == 20


def test_numbers_alone_are_a_histogram(dm: DataManager, drawn: list[Any]) -> None:
    result(dm, [{"n": n, "name": f"unlike any other {n}"} for n in range(9)]).plot()
    assert drawn[0].kind == "hist"
    assert drawn[0].data.columns.tolist() == ["n"]


def test_bare_values_and_nested_paths(dm: DataManager, drawn: list[Any]) -> None:
    result(dm, list(range(5))).plot()
    assert (drawn[0].kind, drawn[0].data.columns.tolist()) == ("hist", ["data"])
    nested = result(dm, [{"a": {"b": n}, "c": 2 * n} for n in range(5)])
    nested.plot(x="a.b", y="c")
    assert (drawn[1].kind, drawn[1].x, drawn[1].y) == ("scatter", "a.b", "c")
    nested.plot(x="a.b")
    assert (drawn[2].x, drawn[2].y) == ("a.b", "c")


def test_what_is_asked_for_is_drawn(dm: DataManager, drawn: list[Any]) -> None:
    found = result(dm, SERIES)
    found.plot(x="at", y="load", kind="area")
    found.plot(y="load", kind="hist")
    found.plot(kind="scatter", x="at", y="load")
    found.plot(kind="bar", x="room", y=["load"])
    found.plot(kind="pie", x="room", y="load")
    found.plot(x="created_at", y="load")
    assert [(each.kind, getattr(each, "x", None), each.y) for each in drawn] == [
        ("area", "at", ["load"]),
        ("hist", None, ["load"]),
        ("scatter", "at", "load"),
        ("bar", "room", ["load"]),
        ("pie", None, "load"),
        ("line", "created_at", ["load"]),
    ]


def test_nullable_numbers_are_drawn_as_floats(dm: DataManager, drawn: list[Any]) -> None:
    result(dm, [{"n": n if n % 2 else None, "m": n} for n in range(9)]).plot()
    assert drawn[0].data.dtypes.astype(str).tolist()[:2] == ["float64", "float64"]


def test_listings_are_drawn_by_size(dm: DataManager, drawn: list[Any]) -> None:
    dm.store_many([{"n": 10**n} for n in range(9)], "m")
    dm.list("m").plot()
    assert drawn[0].kind == "bar"
    assert drawn[0].data.name == "mean of size"


def test_the_title_says_what_a_limit_cut_off(dm: DataManager, drawn: list[Any]) -> None:
    result(dm, NUMBERS, limit=5).plot()
    assert "limit=5 cut the rest off" in drawn[0].title
    result(dm, NUMBERS).plot()
    assert not hasattr(drawn[1], "title")


@pytest.mark.parametrize(
    "records, options, words",
    [
        ([{"vector": [1.0]}] * 3, {}, "vector_map"),
        ([{"a": f"text {n}"} for n in range(3)], {}, "no column of numbers"),
        ([], {}, "no column of numbers"),
        (NUMBERS, {"x": "typo"}, "No record has 'typo'"),
        (NUMBERS, {"y": ["x", "typo"]}, "No record has 'typo'"),
        (GROUPS, {"kind": "scatter"}, "two columns of numbers"),
        ([{"a": f"text {n}"} for n in range(3)], {"kind": "line"}, "no column of numbers"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    dm: DataManager, records: list[Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        result(dm, records).plot(**options)


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize(
    "records, options",
    [
        (SERIES, {}),
        (NUMBERS, {}),
        (GROUPS, {}),
        ([{"n": n} for n in range(9)], {}),
        ([{"room": "aab"[n % 3]} for n in range(9)], {}),
        ([{"n": n if n % 2 else None, "ok": n > 4} for n in range(9)], {}),
        *((SERIES, {"kind": kind}) for kind in ("line", "bar", "barh", "hist", "box", "area")),
        (SERIES, {"kind": "pie", "y": "load"}),
        (NUMBERS, {"kind": "hexbin"}),
        (NUMBERS, {"kind": "scatter", "x": "y", "y": "x"}),
        (SERIES, {"x": "at", "y": ["load"], "kind": "scatter"}),
    ],
)
def test_matplotlib_draws_it(dm: DataManager, records: list[Any], options: dict[str, Any]) -> None:
    axes = result(dm, records, limit=8).plot(**options)
    assert isinstance(axes, mpl.axes.Axes)
    axes.figure.canvas.draw()


def test_without_a_backend_it_says_what_to_install(dm: DataManager, monkeypatch: pytest.MonkeyPatch) -> None:
    from pandas.plotting import _core

    monkeypatch.setattr(_core, "_backends", {})
    monkeypatch.setitem(sys.modules, "pandas.plotting._matplotlib", None)
    found = result(dm, NUMBERS)
    with pytest.raises(ImportError, match="pip install matplotlib, or name another in pd"):
        found.plot()
