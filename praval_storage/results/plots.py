"""A chart for a result: which columns, in which kind of chart, drawn by the backend that pandas is set to.

pandas' own default is matplotlib; ``pd.options.plotting.backend = "plotly"`` and others are respected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd

from praval_storage.display import listed
from praval_storage.errors import ConfigurationError
from praval_storage.results.columns import Cells
from praval_storage.results.frames import to_pandas

Kind = Literal["line", "bar", "barh", "scatter", "hist", "box", "area", "pie", "kde", "hexbin"]

BARS = 20
_ABOUT_A_RECORD = frozenset({"key", "score", "created_at"})
_ABOUT_A_LISTING = frozenset({"key", "created_at", "updated_at"})
_NEEDS_BOTH = frozenset({"scatter", "hexbin"})


class Chart(NamedTuple):
    """What to draw.

    Attributes:
        kind: As in ``DataFrame.plot``.
        data: A frame, or a series whose labels are the x axis.
        x: Column of the x axis.
        y: Columns of the y axis.
    """

    kind: str
    data: Any
    x: str | None = None
    y: str | list[str] | None = None


def plot(cells: Cells, x: str | None, y: Sequence[str], kind: str | None, title: str | None) -> Any:
    """What the backend returns.

    Raises:
        ConfigurationError: There is nothing that can be drawn.
        ImportError: The backend is not installed.
    """
    chart = choose(_frame(cells, [*([] if x is None else [x]), *y]), x, list(y), kind)
    places = {name: place for name, place in (("x", chart.x), ("y", chart.y)) if place is not None}
    titled = {} if title is None else {"title": title}
    try:
        return chart.data.plot(kind=chart.kind, **places, **titled)
    except ImportError as error:
        raise ImportError(
            f"{error} Run: pip install matplotlib, or name another in pd.options.plotting.backend",
            name=error.name,
        ) from error


def _frame(cells: Cells, named: Sequence[str]) -> pd.DataFrame:
    """The columns to choose from: what is about the record itself only when it is named."""
    frame = to_pandas(cells)
    missing = [name for name in named if name not in frame]
    if missing:
        frame = frame.join(to_pandas(cells._replace(wanted=missing)))
    for name in named:
        if frame[name].isna().all():
            raise ConfigurationError(f"No record has {name!r}", hint=f"Columns: {listed(map(repr, frame))}")
    about = _ABOUT_A_LISTING if cells.values is None else _ABOUT_A_RECORD
    return frame.drop(columns=[name for name in frame if name in about and name not in named])


def choose(frame: pd.DataFrame, x: str | None, y: list[str], kind: str | None) -> Chart:
    """The chart for a frame.

    Numbers over time make lines, two columns of numbers a scatter plot, numbers with a category the mean of
    each, a category alone its counts, numbers alone a histogram.
    """
    numbers, times, words = _sorted_out(frame)
    if kind is not None:
        return _as_told(frame, numbers, x, y, kind)
    over = x if x is not None else next(iter(times), None)
    drawn = [name for name in (y or numbers) if name != over]
    if over in times and drawn:
        return Chart("line", frame.sort_values(over), over, drawn)
    group = x if x in words else next(iter(words), None)
    if len(drawn) == 1 and group is not None and (x is None or x == group):
        return Chart("bar", _means(frame, group, drawn[0]))
    if x is not None and drawn:
        return Chart("scatter", frame, x, drawn[0])
    if len(drawn) > 1:
        return Chart("scatter", frame, drawn[0], drawn[1])
    if drawn:
        return Chart("hist", frame[drawn])
    if group is not None:
        return Chart("bar", _counts(frame, group))
    raise _nothing(frame)


def _as_told(frame: pd.DataFrame, numbers: list[str], x: str | None, y: list[str], kind: str) -> Chart:
    drawn = y or [name for name in numbers if name != x]
    if not drawn:
        raise _nothing(frame)
    if kind in _NEEDS_BOTH:
        both = [x, drawn[0]] if x is not None else drawn[:2]
        if len(both) < 2:
            raise ConfigurationError(f"A chart of kind {kind!r} needs two columns of numbers")
        return Chart(kind, frame, both[0], both[1])
    if kind == "pie":
        return Chart(kind, frame if x is None else frame.set_index(x), None, drawn[0])
    return Chart(kind, frame if x is None else frame.sort_values(x), x, drawn)


def _sorted_out(frame: pd.DataFrame) -> tuple[list[str], list[str], list[str]]:
    """Columns of numbers, of times, and of categories."""
    numbers, times, words = [], [], []
    for name, column in list(frame.items()):
        label = str(name)
        if pd.api.types.is_bool_dtype(column.dtype) or _is_category(column):
            words.append(label)
        elif pd.api.types.is_numeric_dtype(column.dtype):
            numbers.append(label)
            frame[label] = column.astype("float64")  # backends do not draw nullable integers
        elif pd.api.types.is_datetime64_any_dtype(column.dtype):
            times.append(label)
    return numbers, times, words


def _is_category(column: pd.Series[Any]) -> bool:
    """Texts of which some are there several times."""
    there = column.dropna()
    if not len(there) or not isinstance(there.iloc[0], str):
        return False
    return bool(there.nunique() < max(2, len(there)))


def _means(frame: pd.DataFrame, group: str, number: str) -> pd.Series[Any]:
    top = _counts(frame, group).index
    means = frame[frame[group].isin(top)].groupby(group, observed=True)[number].mean()
    found: pd.Series[Any] = means.sort_values(ascending=False).rename(f"mean of {number}")
    return found


def _counts(frame: pd.DataFrame, group: str) -> pd.Series[Any]:
    found: pd.Series[Any] = frame[group].value_counts().head(BARS)
    return found


def _nothing(frame: pd.DataFrame) -> ConfigurationError:
    return ConfigurationError(
        "There is no column of numbers, times or categories to draw",
        hint=f"Columns: {listed(map(repr, frame.columns))}. For vectors use dm.vector_map()",
    )
