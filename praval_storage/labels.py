"""What places and records are called where one looks around: text in a label, natural order, delimiters."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from praval_storage.display import printable
from praval_storage.errors import ConfigurationError

LONGEST_DELIMITER = 8
_DIGITS = re.compile(r"([0-9]+)")


def caseless(text: str) -> str:
    """The text with letters in lower case, one for one: an ASCII letter stays one, any other is none.

    So ``k`` does not find the Kelvin sign, and a backend that only folds ASCII still finds a superset.
    """
    if text.isascii():
        return text.lower()
    return "".join(
        lower
        if len(lower := letter.lower()) == 1 and lower.isascii() is letter.isascii()
        else letter
        for letter in text
    )  # fmt: skip


def containing(text: str) -> Callable[[str], bool]:
    """Whether a label contains a text, as ``Look.text`` means it."""
    wanted = caseless(text)
    return lambda label: wanted in caseless(label)


def natural(label: str) -> tuple[Any, ...]:
    """Sorts ``point-2`` before ``point-10``; distinct labels are never equal."""
    parts: list[Any] = _DIGITS.split(label)
    # Texts are at even places, numbers at odd ones: the same kinds always meet.
    parts[1::2] = [(len(digits), digits) for digits in (part.lstrip("0") for part in parts[1::2])]
    return tuple(parts), label


def check_delimiter(delimiter: object) -> str:
    """The delimiter, if it can be one.

    Without letters and digits, so that the path of a place tells by its end that a delimiter is there.

    Raises:
        ConfigurationError: It cannot.
    """
    if (
        isinstance(delimiter, str)
        and 1 <= len(delimiter) <= LONGEST_DELIMITER
        and delimiter.isprintable()
        and not any(map(str.isalnum, delimiter))
    ):
        return delimiter
    raise ConfigurationError(
        f"A delimiter is a text of 1 to {LONGEST_DELIMITER} characters, not {printable(repr(delimiter), 60)}",
        hint='None of them is a letter, a digit or one that cannot be seen; usual are ":", "/" and "."',
    )
