"""Natural JSON forms of the standard library's scalar types, and the way back."""

from __future__ import annotations

import base64
import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from praval_storage.serialization._types import Tag

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
EXPONENT_FROM = 1e16
"""Floats from here on are written with an exponent, which JSONB turns into the digits of an integer."""

_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(?:u([0-9a-f]{4})|\\)")
_UNSAFE_OR_BACKSLASH = re.compile("[\\\\\x00\ud800-\udfff]")
_DURATION = re.compile(r"(-?)P(\d+)DT(\d+)H(\d+)M(\d+)(?:\.(\d{6}))?S")


def is_safe(text: str) -> bool:
    """Whether every backend can hold the text: no NUL (JSONB), no lone surrogate (UTF-8)."""
    return ("\x00" not in text) if text.isascii() else _UNSAFE.search(text) is None


def escape_text(text: str) -> str:
    r"""The text with NUL, lone surrogates and backslashes written as ``\uXXXX`` and ``\\``."""
    return _UNSAFE_OR_BACKSLASH.sub(
        lambda found: "\\\\" if found.group() == "\\" else f"\\u{ord(found.group()):04x}", text
    )


def unescape_text(text: str) -> str:
    """The text :func:`escape_text` was given."""
    return _ESCAPED.sub(lambda found: chr(int(found.group(1), 16)) if found.group(1) else "\\", text)


def write_str(text: str) -> tuple[str, Tag | None]:
    return (text, None) if is_safe(text) else (escape_text(text), "str")


def write_int(number: int) -> tuple[int | str, Tag | None]:
    return (number, None) if INT_MIN <= number <= INT_MAX else (_digits(number), "int")


def write_float(number: float) -> tuple[float | str, Tag | None]:
    if not math.isfinite(number):
        return nonfinite_text(number), "float"
    if abs(number) >= EXPONENT_FROM:
        return number, "double"
    if number == 0 and math.copysign(1, number) < 0:
        return number, "-0.0"
    return number, None


def nonfinite_text(number: float) -> str:
    """``NaN``, ``Infinity`` or ``-Infinity``, as in the JSON mapping of Protocol Buffers 3."""
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def write_datetime(value: datetime) -> tuple[str, Tag]:
    return _base_isoformat(value), _tag("datetime", _zone(value.tzinfo), value.fold)


def write_time(value: time) -> tuple[str, Tag]:
    return value.isoformat(), _tag("time", _zone(value.tzinfo), value.fold)


def read_datetime(text: str, zone: str | None = None, fold: int = 0) -> datetime:
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=ZoneInfo(zone) if zone else parsed.tzinfo, fold=fold)


def read_time(text: str, zone: str | None = None, fold: int = 0) -> time:
    parsed = time.fromisoformat(text)
    return parsed.replace(tzinfo=ZoneInfo(zone) if zone else parsed.tzinfo, fold=fold)


def duration(value: timedelta) -> str:
    """ISO 8601 duration, exact to the microsecond: ``P1DT2H3M4.000005S``, ``-P0DT0H0M1S``."""
    sign, value = ("-", -value) if value < timedelta() else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    return f"{sign}P{value.days}DT{minutes // 60}H{minutes % 60}M{seconds}{fraction}S"


def write_timedelta(value: timedelta) -> tuple[str, Tag]:
    # timedelta.min has no negative; its 999999999 days are written from the parts instead.
    if value == timedelta.min:
        return f"-P{-value.days}DT0H0M0S", "timedelta"
    return duration(value), "timedelta"


def read_timedelta(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a duration")
    sign = -1 if found[1] else 1
    days, hours, minutes, seconds, micros = (sign * int(part or 0) for part in found.groups()[1:])
    return timedelta(days, seconds, micros, minutes=minutes, hours=hours)


def write_bytes(value: bytes | bytearray | memoryview) -> tuple[str, Tag]:
    return base64.b64encode(value).decode(), "bytearray" if isinstance(value, bytearray) else "bytes"


def read_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


WRITERS: dict[type, Any] = {
    str: write_str,
    int: write_int,
    float: write_float,
    complex: lambda value: (repr(complex(value)), "complex"),
    datetime: write_datetime,
    date: lambda value: (value.isoformat(), "date"),
    time: write_time,
    timedelta: write_timedelta,
    Decimal: lambda value: (str(value), "Decimal"),
    UUID: lambda value: (str(value), "UUID"),
    bytes: write_bytes,
    bytearray: write_bytes,
    memoryview: write_bytes,
}
"""Type -> function that gives the natural form and the tag (``None``: the natural form says it all)."""

READERS: dict[str, Any] = {
    "str": unescape_text,
    "int": int,
    "float": float,
    "double": float,
    "-0.0": lambda _: -0.0,
    "complex": complex,
    "datetime": read_datetime,
    "date": date.fromisoformat,
    "time": read_time,
    "timedelta": read_timedelta,
    "Decimal": Decimal,
    "UUID": UUID,
    "bytes": read_base64,
    "bytearray": lambda text: bytearray(read_base64(text)),
}
"""Tag name -> function of the natural form and the tag's arguments."""


def _digits(number: int) -> str:
    try:
        return str(int(number))
    except ValueError:
        # CPython refuses more than 4,300 digits (sys.set_int_max_str_digits); so would reading them.
        raise OverflowError("the integer has more digits than Python converts") from None


def _base_isoformat(value: datetime) -> str:
    return datetime.isoformat(value)


def _zone(tzinfo: Any) -> str | None:
    # A fixed offset is in the ISO text. pytz calls the name of a zone ``zone``.
    name = getattr(tzinfo, "key", None) or getattr(tzinfo, "zone", None)
    return name if isinstance(name, str) else None


def _tag(name: str, zone: str | None, fold: int) -> Tag:
    if fold:
        return (name, zone, fold)
    return (name, zone) if zone else name
