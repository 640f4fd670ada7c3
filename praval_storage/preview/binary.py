"""Bytes as hex and ASCII, with the name of what they look like."""

from __future__ import annotations

from praval_storage.display import size_text
from praval_storage.preview import parquet
from praval_storage.preview.beginning import IN_FULL, Beginning
from praval_storage.preview.magic import recognised
from praval_storage.preview.parts import Passage
from praval_storage.preview.seen import Seen, first_of

_ROW = 16


def dump(found: Beginning) -> Seen:
    """The first bytes of any body."""
    if not found.size:
        return Seen("bytes", {}, ["There are no bytes"])
    shown = found.body[: found.scope.hex]
    rest = found.size - len(shown)
    notes = [f"The first {len(shown)} of {size_text(found.size)}"] if rest else []
    more = rest if found.scope != IN_FULL else 0  # more than in full is not to be had
    return Seen("bytes", _facts(found), notes, [Passage(lines(shown), more, is_code=True)])


def lines(body: bytes) -> str:
    """Place, hex and ASCII of every 16 bytes, as ``xxd`` and ``hexdump -C`` write them."""
    return "\n".join(_line(start, body[start : start + _ROW]) for start in range(0, len(body), _ROW))


def _line(start: int, row: bytes) -> str:
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{start:06x}  {row.hex(' '):{3 * _ROW - 1}}  {letters}"


def _facts(found: Beginning) -> dict[str, str]:
    name = recognised(found.body)
    if name == "parquet":
        seen = first_of(found, parquet.footer, lambda _: Seen("bytes"))
        columns = seen.facts.get("columns")
        name = f"parquet: {columns} columns" if columns else "parquet, broken"
    return {} if name is None else {"looks like": name}
