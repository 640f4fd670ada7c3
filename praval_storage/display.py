"""How things look in text and HTML: made of what they hold, the same in every run, nothing in it trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from html import escape
from typing import Any, NamedTuple, Self

WIDTH = 60
"""Longest key shown in full."""

VALUE_WIDTH = 100
"""Longest value shown in full."""

WIDEST = 400
"""Longest value where there is nothing else to read: an error says what to do at its end."""

SHOWN = 10
"""Rows of a table."""

NAMED = 3
"""Keys or failures that a message names before it only counts them."""

BLANK = "␣"
"""A blank that would not be seen."""

_BLANKS = re.compile(r"^ +| +$| {2,}")
_NUMERIC = frozenset({"size", "score"})
_SIDES = (' style="text-align:left"', "")
_UNITS = ("kB", "MB", "GB", "TB", "PB")
_THOUSANDS = ("", "k", "M", "G", "T")


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """A question with the name that one looks like, whatever its case; something else to say without one."""
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f"Did you mean {by_lower[close[0]]!r}?" if close else otherwise


class Table(NamedTuple):
    """A title, the first rows below their header, and how many more there are."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: int


def as_text(table: Table) -> str:
    """Aligned columns, numbers to the right."""
    header = [table.header] if any(table.header) else []
    lines = [*header, *table.rows] if table.rows else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [table.title, *(_line(line, table.header, widths) for line in lines)]
    return "\n".join(text + ([_more(table)] if table.more else []))


def as_html(table: Table) -> str:
    """A plain table that survives in a notebook that is not trusted: no style sheet, no script."""
    are_numbers = [name in _NUMERIC for name in table.header]
    head = "".join(map(head_cell, map(escape, table.header), are_numbers))
    head = f"<thead><tr>{head}</tr></thead>" if any(table.header) else ""
    body = "".join(f"<tr>{''.join(map(_cell, row, are_numbers))}</tr>" for row in table.rows)
    more = f"<p>{_more(table)}</p>" if table.more else ""
    rows = f"<table>{head}<tbody>{body}</tbody></table>" if table.rows else ""
    title = f"<p>{escape(table.title)}</p>" if table.title else ""
    return f"<div>{title}{rows}{more}</div>"


def body_cell(html: str, is_number: bool = False) -> str:
    """A cell of a table. JupyterLab puts all of them to the right, text too, unless it is told."""
    return f"<td{_SIDES[is_number]}>{html}</td>"


def head_cell(html: str, is_number: bool = False) -> str:
    """The cell above a column."""
    return f'<th scope="col"{_SIDES[is_number]}>{html}</th>'


def facts(title: str, values: Mapping[str, Any], more: int = 0, width: int = VALUE_WIDTH) -> Table:
    """A table of names and values."""
    rows = [(printable(str(name)), value_text(value, width)) for name, value in values.items()]
    return Table(title, ("", ""), rows[:SHOWN], more + len(rows[SHOWN:]))


def folded(summary: str, html: str) -> str:
    """Something that opens on a click; it needs no script, and works where a notebook is not trusted."""
    return f"<details><summary>{escape(summary)}</summary>{html}</details>"


def code(text: str) -> str:
    """A line to copy."""
    return f"<p><code>{escape(text)}</code></p>"


def codes(*texts: str) -> str:
    """Several lines to copy, side by side."""
    return f"<p>{' '.join(f'<code>{escape(text)}</code>' for text in texts)}</p>"


class Bar(str):
    """A number in a table, with a bar in HTML for how large it is.

    Attributes:
        share: From 0 to 1.
    """

    __slots__ = ("share",)
    share: float

    @classmethod
    def of(cls, text: str, share: float) -> Self:
        """The text with its share."""
        bar = cls(text)
        bar.share = min(max(share, 0.0), 1.0)
        return bar


def value_text(value: Any, width: int = VALUE_WIDTH) -> str:
    """A text as it is, anything else as Python writes it; on one line, and cut."""
    return printable(value if isinstance(value, str) else repr(value), width)


def counted(number: int, noun: str) -> str:
    """``no records``, ``1 record``, ``1 204 records``."""
    return f"{_grouped(number) if number else 'no'} {noun}{'' if number == 1 else 's'}"


def counted_text(number: int, how: str = "exact") -> str:
    """``1 204``; ``~1.2 M`` for an estimate; ``>= 48`` when there may be more."""
    if how != "estimate":
        return f"{'>= ' if how == 'at least' else ''}{_grouped(number)}"
    thousands = min((len(str(number)) - 1) // 3, len(_THOUSANDS) - 1)
    return f"~{number / 1000**thousands:.1f} {_THOUSANDS[thousands]}" if thousands else f"~{number}"


def listed(texts: Iterable[str]) -> str:
    """The first few of some texts, and how many more there are."""
    found = list(texts)
    rest = len(found) - NAMED
    return ", ".join(found[:NAMED]) + (f" and {_grouped(rest)} more" if rest > 0 else "")


def printable(text: str, width: int = WIDTH) -> str:
    """A name on one line: what does not print is escaped, and the middle of a long one left out."""
    line = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )
    return line if len(line) <= width else f"{line[: width // 2]}…{line[1 - width // 2 :]}"


def name_text(name: str, width: int = WIDTH) -> str:
    """A name of a record or place on one line: what cannot be seen of it is written out.

    ``<empty>``; ``␣`` for blanks at either end and for several in a row, which HTML shows as one.
    """
    return _BLANKS.sub(lambda found: BLANK * len(found[0]), printable(name, width)) or "<empty>"


def size_text(size: int | None) -> str:
    """``73 B``, ``1.2 MB``; ``-`` when not known."""
    if size is None or size < 1000:
        return "-" if size is None else f"{size} B"
    thousands = min((len(str(size)) - 1) // 3, len(_UNITS))
    return f"{size / 1000**thousands:.1f} {_UNITS[thousands - 1]}"


def time_text(time: datetime | None) -> str:
    """The minute in UTC, ``-`` when not known."""
    return "-" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def _line(cells: Sequence[str], header: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cell.rjust(width) if name in _NUMERIC else cell.ljust(width)
        for cell, name, width in zip(cells, header, widths, strict=True)
    ]
    return f"  {'  '.join(aligned)}".rstrip()


def _cell(text: str, is_number: bool) -> str:
    bar = f'<meter min="0" max="1" value="{text.share:.3f}"></meter> ' if isinstance(text, Bar) else ""
    return body_cell(bar + escape(text), is_number)


def _more(table: Table) -> str:
    return f"... {_grouped(table.more)} more"


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
