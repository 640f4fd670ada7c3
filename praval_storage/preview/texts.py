"""Texts: their encoding by name, their beginning, and nothing in them that hides or turns other letters."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Sequence

from praval_storage.display import size_text
from praval_storage.preview.beginning import Beginning
from praval_storage.preview.parts import Passage
from praval_storage.preview.seen import Seen

_MARKS = ((BOM_UTF8, "utf-8-sig"), (BOM_UTF16_LE, "utf-16"), (BOM_UTF16_BE, "utf-16"))
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Controls, and marks that reverse the direction of what follows (https://trojansource.codes)."""
_NO_LETTERS = re.compile(b"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_NAMES = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with a byte order mark", "utf-16": "UTF-16"}


def passage(found: Beginning) -> Seen:
    """A text.

    Raises:
        UnicodeDecodeError: It is none.
    """
    encoding = next((name for mark, name in _MARKS if found.body.startswith(mark)), "utf-8")
    text = decoded(found.body, encoding, final=found.is_whole)
    shown = decoded(found.body[: found.scope.text], encoding, final=False)
    facts = {"encoding": "ASCII" if text.isascii() and encoding == "utf-8" else _NAMES[encoding]}
    if found.is_whole:
        facts["lines"] = str(text.count("\n") + (not text.endswith("\n") and text != ""))
    notes = [f"dm.retrieve() reads UTF-8, and this is {_NAMES[encoding]}"] if encoding == "utf-16" else []
    return _seen(found, facts, shown, notes)


def single_bytes(found: Beginning) -> Seen:
    """A text in one of the older encodings that have a letter for every byte.

    Raises:
        ValueError: It holds bytes that no such text has.
    """
    if _NO_LETTERS.search(found.body):
        raise ValueError("it holds control characters")
    shown = found.body[: found.scope.text].decode("latin-1")
    return _seen(found, {"encoding": "not UTF-8, here taken for Latin-1"}, shown, ())


def _seen(found: Beginning, facts: dict[str, str], shown: str, notes: Sequence[str]) -> Seen:
    more = found.size - min(found.size, found.scope.text)
    cut = [f"The first {size_text(found.scope.text)} of {size_text(found.size)}"] if more else []
    return Seen("text", facts, [*notes, *cut], [Passage(visible(shown), more)])


def decoded(body: bytes, encoding: str, *, final: bool) -> str:
    """A text whose last character may be cut in two unless that is the end."""
    return getincrementaldecoder(encoding)().decode(body, final)


def visible(text: str) -> str:
    """The text with what cannot be seen written out; line ends of other systems are line ends."""
    return _HIDDEN.sub(_escaped, text.replace("\r\n", "\n"))


def _escaped(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()
