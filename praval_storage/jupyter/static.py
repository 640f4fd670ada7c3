"""The browser as plain text and HTML: for saving, for notebooks that are not trusted, without a widget."""

from __future__ import annotations

from html import escape

from praval_storage.display import Table
from praval_storage.display import as_html as table_as_html
from praval_storage.display import as_text as table_as_text
from praval_storage.jupyter.state import Json, State
from praval_storage.preview import Preview

SHOWN = 20
"""Rows of the static form."""
WIDEST = 8
"""Fields of the data that it has as columns."""


class Snapshot:
    """What a browser showed, as plain HTML and text: no script, no style sheet, no kernel.

    Args:
        state: All that was shown.
        preview: The record that was shown.
    """

    def __init__(self, state: State, preview: Preview | None) -> None:
        self._state = state
        self._preview = preview

    @property
    def html(self) -> str:
        """The HTML, to be saved."""
        return self._repr_html_()

    def __repr__(self) -> str:
        preview = f"\n\n{self._preview!r}" if self._preview else ""
        return as_text(self._state) + preview

    def _repr_html_(self) -> str:
        preview = self._preview._repr_html_() if self._preview else ""
        return as_html(self._state, static=False) + preview


def as_text(state: State, hint: str = "") -> str:
    """Path, first rows and how many there are; the same in every run."""
    return table_as_text(_table(state)) + (f"\n{hint}" if hint else "")


def as_html(state: State, *, hint: str = "", static: bool = True) -> str:
    """The same as HTML that survives in a notebook that is not trusted.

    Args:
        state: All that is shown.
        hint: A line under it.
        static: Whether a live browser stands beside it, which the reader may not see.
    """
    note = "Static copy: run the cell for the live browser." if static and not hint else hint
    below = f"<p><em>{escape(note)}</em></p>" if note else ""
    return table_as_html(_table(state)) + below


def _table(state: State) -> Table:
    if not state.path:
        names = [
            [line["label"], _provider_state(state, line["id"])]
            for line in state.tree
            if line["level"] == 1 and "more" not in line
        ]
        return Table("Storage browser", ("provider", "state"), names, 0)
    title = f"Storage browser: {state.path}{_matching(state)}{_extent(state)}"
    (name, *header), rows = _of_data(state, fields) if (fields := _fields(state)) else _of_files(state)
    if scores := [row["score"] for row in state.rows if "score" in row]:
        header = ["score", *header]
        rows = [[key, score, *rest] for score, (key, *rest) in zip(scores, rows, strict=True)]
    places = [[place["name"], place["kind"]] for place in state.table.get("places", ())]
    lines = [[*line, *["-"] * (1 + len(header) - len(line))] for line in [*places, *rows]]
    return Table(title, (name, *header), lines[:SHOWN], max(0, len(lines) - SHOWN))


def _fields(state: State) -> list[str]:
    columns = state.table.get("columns", ())
    return [column["name"] for column in columns if column["kind"] == "data"][:WIDEST]


def _of_data(state: State, fields: list[str]) -> tuple[tuple[str, ...], list[list[str]]]:
    rows = [[row["name"], *(each["text"] for each in row["cells"][: len(fields)])] for row in state.rows]
    return ("key", *fields), rows


def _of_files(state: State) -> tuple[tuple[str, ...], list[list[str]]]:
    rows = [[row["name"], row["kind"], row["size_text"], _day(row)] for row in state.rows]
    return ("name", "kind", "size", "modified"), rows


def _provider_state(state: State, name: str) -> str:
    known = str(state.badges.get(name, {}).get("state", "unknown"))
    return "up" if known == "slow" else known


def _matching(state: State) -> str:
    return f", matching {state.query}" if state.query else ""


def _extent(state: State) -> str:
    if state.error:
        return f": {state.error['title']}: {state.error['class']}"
    if state.busy and not state.rows:
        return f", {state.busy} ..."
    extent = state.table.get("extent", "")
    return f", {extent}" if extent else ", no records here" if not state.table.get("places") else ""


def _day(row: Json) -> str:
    return str(row["updated"] or "-")[:10]
