"""Single values as they look in a table or a tree: what is different looks different.

``null``, ``NaN``, ``NaT``, ``inf``, ``<empty>`` and ``␣␣`` are values that are easily taken for each other.
They have words of their own, and a text that happens to read like such a word, like a number or with a blank
at its end is shown in quotes, so that no colour is needed to tell them apart.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from praval_storage.display import BLANK, printable, size_text

LONGEST = 100
"""Letters of a cell."""
COPIED = 2_000
"""Letters that can be copied out of a cell; what is longer is to be retrieved."""

_WORDS = frozenset({"null", "nan", "nat", "inf", "-inf", "none", "true", "false", "<na>", "<empty>"})
_brief = reprlib.Repr()
_brief.maxlevel, _brief.maxstring, _brief.maxother = 3, 40, 60
_brief.maxdict = _brief.maxlist = _brief.maxtuple = _brief.maxset = _brief.maxfrozenset = 6


class Cell(NamedTuple):
    """How a value looks.

    Attributes:
        text: On one line, at most ``LONGEST`` letters.
        kind: ``"null"``, ``"nan"``, ``"nat"``, ``"infinite"``, ``"empty"``, ``"blank"``, ``"text"``,
            ``"number"``, ``"boolean"``, ``"time"``, ``"bytes"``, ``"nested"`` or ``"other"``.
        copy: The exact value as text, from which its type makes it again; ``None`` when there is no such
            text of at most ``COPIED`` letters.
    """

    text: str
    kind: str
    copy: str | None

    def payload(self) -> dict[str, str]:
        """JSON values; ``copy`` only where it is not the text."""
        known = {"text": self.text, "kind": self.kind}
        return known if self.copy is None or self.copy == self.text else {**known, "copy": self.copy}


def cell(value: Any) -> Cell:
    """A value in a table."""
    if isinstance(value, str):
        return _text(str(value))
    return bare(value)


def in_cells(values: Mapping[str, Any]) -> dict[str, str]:
    """Each value as it looks in a table."""
    return {name: cell(value).text for name, value in values.items()}


def bare(value: Any) -> Cell:
    """A value that is no text."""
    for kind, look in _LOOKS:
        if isinstance(value, kind):
            found: Cell = look(value)
            return found
    return _library_value(value)


def quoted(text: str, longest: int = LONGEST) -> Cell:
    """A text in quotes, as in JSON."""
    shown = text.replace(" ", BLANK) if text and set(text) == {" "} else text
    return Cell(f'"{printable(shown, longest)}"', "text", _copied(text))


def _text(text: str) -> Cell:
    if not text:
        return Cell("<empty>", "empty", "")
    if text.isspace() and set(text) == {" "}:
        return Cell(
            BLANK * len(text) if len(text) <= 8 else f"{BLANK * 8} ({len(text)} blanks)",
            "blank",
            _copied(text),
        )
    shown = printable(text, LONGEST)
    return Cell(f'"{shown}"' if _misleading(text) else shown, "text", _copied(text))


def _misleading(text: str) -> bool:
    if text != text.strip() or text.casefold() in _WORDS or text[0] in f'{BLANK}<[{{"':
        return True
    return text[0] in "+-.0123456789" and _is_number(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _copied(text: str) -> str | None:
    return text if len(text) <= COPIED else None


def _number(value: Any) -> Cell:
    if isinstance(value, int):
        return _integer(value)
    if math.isfinite(value):
        return _plain(repr(float(value)), "number")
    return (
        Cell("NaN", "nan", "nan")
        if math.isnan(value)
        else Cell(str(float(value)), "infinite", str(float(value)))
    )


def _integer(value: int) -> Cell:
    try:
        digits = str(int(value))
    except ValueError:  # CPython refuses to write more than 4,300 digits
        return Cell(f"<integer of {value.bit_length()} bits>", "number", None)
    return _plain(digits, "number")


def _decimal(value: Decimal) -> Cell:
    if value.is_nan():
        return Cell("NaN", "nan", str(value))
    return _plain(str(value), "infinite" if value.is_infinite() else "number")


def _datetime(value: datetime) -> Cell:
    zone = getattr(value.tzinfo, "key", None)
    return _plain(
        value.isoformat(" ") + (f" [{zone}]" if zone and zone != "UTC" else ""), "time", value.isoformat()
    )


def _bytes(value: Any) -> Cell:
    size = memoryview(value).nbytes
    return Cell(f"<bytes {size_text(size)}>", "bytes", bytes(value).hex() if 2 * size <= COPIED else None)


def _nested(value: Any) -> Cell:
    return Cell(printable(_brief.repr(value), LONGEST), "nested", None)


def _plain(text: str, kind: str, copy: str | None = None) -> Cell:
    return Cell(printable(text, LONGEST), kind, _copied(text if copy is None else copy))


_LOOKS: tuple[tuple[Any, Any], ...] = (
    (type(None), lambda _: Cell("null", "null", "None")),
    (bool, lambda value: Cell("true" if value else "false", "boolean", str(value))),
    ((int, float), _number),
    (Decimal, _decimal),
    (complex, lambda value: _plain(str(value), "number")),
    (str, lambda value: quoted(str(value))),
    ((bytes, bytearray, memoryview), _bytes),
    (datetime, lambda value: Cell("NaT", "nat", "NaT") if value != value else _datetime(value)),
    ((date, time), lambda value: _plain(value.isoformat(), "time")),
    (timedelta, lambda value: Cell("NaT", "nat", "NaT") if value != value else _plain(str(value), "time")),
    (UUID, lambda value: _plain(str(value), "other")),
    ((Mapping, list, tuple, Set), _nested),
)


def _library_value(value: Any) -> Cell:
    """Scalars of NumPy and pandas, known by their names: neither library is imported here."""
    name = type(value).__name__
    if name == "NAType":
        return Cell("null", "null", "NA")
    if name == "NaTType" or (name in {"datetime64", "timedelta64"} and str(value) == "NaT"):
        return Cell("NaT", "nat", "NaT")
    if name in {"datetime64", "timedelta64", "Period"}:
        return _plain(str(value), "time")
    if type(value).__module__ == "numpy" and hasattr(value, "dtype") and not getattr(value, "shape", ()):
        return _numpy_scalar(value)
    return Cell(f"<{printable(name)}> {printable(_brief.repr(value), LONGEST)}", "other", None)


def _numpy_scalar(value: Any) -> Cell:
    if value.dtype.kind in "fiu":
        # The shortest text of its own precision: 0.1 of a float32 is not the 0.1 of a float.
        return _number(value.item())._replace(text=str(value)) if value == value else _number(math.nan)
    return bare(value.item()) if value.dtype.kind in "bcSU" else _plain(str(value), "other")
