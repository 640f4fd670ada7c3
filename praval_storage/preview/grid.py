"""The first rows of a table, with the type and the nulls of every column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from praval_storage.cells import Cell
from praval_storage.display import Table, as_text, body_cell, counted, head_cell

ROWS = 10
"""Rows of a table in the static forms; the browser shows all that were read."""
COLUMNS = 12


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: As it is called.
        dtype: Its type in the words of the library that reads it.
        nulls: How many values are missing in all rows; ``None`` = not known.
    """

    name: str
    dtype: str = ""
    nulls: int | None = None

    @property
    def described(self) -> str:
        """Type and nulls in words."""
        nulls = "" if self.nulls is None else f"{self.nulls:,} null".replace(",", " ")
        return ", ".join(filter(None, (self.dtype, nulls)))


@dataclass(frozen=True, slots=True)
class Grid:
    """The first rows of a table.

    Attributes:
        columns: The columns shown.
        rows: One cell per column.
        height: Rows there are in all; ``None`` = not known.
        width: Columns there are in all.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    height: int | None
    width: int

    def payload(self, blobs: list[bytes]) -> dict[str, Any]:
        return {
            "type": "table",
            "columns": [
                {"name": each.name, "dtype": each.dtype, "nulls": each.nulls} for each in self.columns
            ],
            "rows": [[each.payload() for each in row] for row in self.rows],
            "height": self.height,
            "width": self.width,
        }

    def html(self) -> str:
        columns = self.columns[:COLUMNS]
        shown = [row[:COLUMNS] for row in self.rows[:ROWS]]
        numbers = [any(row[place].kind == "number" for row in shown) for place in range(len(columns))]
        head = "".join(
            head_cell(f"{escape(each.name)}<br><small>{escape(each.described)}</small>", is_number)
            for each, is_number in zip(columns, numbers, strict=True)
        )
        body = "".join(f"<tr>{''.join(map(_cell_html, row, numbers))}</tr>" for row in shown)
        style = "white-space:pre-wrap"  # two blanks are not one
        table = f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        return f"{table}<p>{escape(self._extent())}</p>"

    def text(self) -> str:
        header = [each.name for each in self.columns[:COLUMNS]]
        kinds = [each.described for each in self.columns[:COLUMNS]]
        rows = [kinds, *([each.text for each in row[:COLUMNS]] for row in self.rows[:ROWS])]
        return as_text(Table(self._extent(), header, rows, 0))

    def _extent(self) -> str:
        height = "rows not counted" if self.height is None else counted(self.height, "row")
        shown = min(ROWS, len(self.rows))
        cut = [] if shown == self.height else [f"the first {counted(shown, 'row')}"]
        wide = [] if self.width <= COLUMNS else [f"the first {COLUMNS} columns"]
        shape = f"{height} x {counted(self.width, 'column')}"
        return f"{shape}; shown: {', '.join([*cut, *wide])}" if cut or wide else shape


def _cell_html(value: Cell, is_number: bool) -> str:
    text = escape(value.text)
    return body_cell(text if value.kind in _ORDINARY else f"<em>{text}</em>", is_number)


_ORDINARY = frozenset({"text", "number", "boolean", "time", "other", "nested"})


def type_name(kind: Any) -> str:
    """The name of an Arrow type; that of a pandas category without its inner workings."""
    text = str(kind)
    return f"category of {kind.value_type}" if text.startswith("dictionary<") else text.removeprefix("large_")
