"""Texts of flat JSON into Arrow, exactly or not at all.

``pyarrow.json`` is several times as fast as any way through Python objects, and not to be trusted: it makes
timestamps of strings that look like times, rounds integers beyond 64 bits and columns of integers and floats
to doubles, accepts ``NaN`` and bytes that are no UTF-8. It ends the process when a field changes its type
from one block of input to the next or when nesting is deep, and makes invalid arrays of lists that start with
null (all seen with version 26). So it gets one block at a time, nothing but scalars and flat objects leave
this module, and every doubt leads to ``None``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.json import ParseOptions, ReadOptions
from pyarrow.json import read_json as read

SAMPLE = 100
"""Texts that are read first, to learn which fields hold text."""
BLOCK_SIZE = 4 << 20
"""Bytes that one thread reads at a time."""
MAX_FIELDS = 1_000
"""Objects with ids for keys have more, and an array for each would fill the memory."""
MAX_BRACKETS = 200
"""In one text, which bounds its depth; the reader crashes at some thousands."""
EXACT_FLOAT = 2.0**53
"""From here on a double can be a rounded integer."""


def read_flat_json(texts: list[bytes]) -> pa.ChunkedArray | None:
    """One scalar or flat struct per text; ``None`` if nested, of mixed types, not exact in Arrow, no JSON."""
    # Each level of nesting takes two brackets.
    if any(len(text) > 2 * MAX_BRACKETS and _brackets(text) > MAX_BRACKETS for text in texts):
        return None
    try:
        array = _read(texts)
        array.validate(full=True)  # UTF-8 too, which the reader does not check
    except (pa.ArrowException, ValueError):
        return None
    return array if array is not None and all(map(_is_exact, array.chunks)) else None


def _brackets(text: bytes) -> int:
    return text.count(b"[") + text.count(b"{")


def _read(texts: list[bytes]) -> pa.ChunkedArray:
    sample = _read_block(texts[:SAMPLE], None)
    _require_flat(sample.type)
    array = _read_blocks(texts, sample.type)
    if any(map(pa.types.is_timestamp, _leaves(array.type))):  # in fields that the sample did not show
        array = _read_blocks(texts, array.type)
    _require_flat(array.type)
    return array


def _read_blocks(texts: list[bytes], known: pa.DataType) -> pa.ChunkedArray:
    average = sum(map(len, texts)) // len(texts) + 1
    rows = max(1, BLOCK_SIZE // average)
    blocks = [texts[start : start + rows] for start in range(0, len(texts), rows)]
    if len(blocks) == 1:
        return _read_block(texts, known)
    with ThreadPoolExecutor(min(len(blocks), pa.cpu_count())) as pool:
        arrays = list(pool.map(partial(_read_block, known=known), blocks))
    tables = [pa.table([array], ["value"]) for array in arrays]
    return pa.concat_tables(tables, promote_options="permissive").column(0)


def _read_block(texts: list[bytes], known: pa.DataType | None) -> pa.ChunkedArray:
    text = b'{"value":' + b'}\n{"value":'.join(texts) + b"}"
    table = read(
        pa.py_buffer(text),
        ReadOptions(use_threads=False, block_size=len(text) + 1),
        ParseOptions(explicit_schema=None if known is None else _with_text(known)),
    )
    # A text like `1, "x": 2` or `1} {"value": 2` would pass.
    if table.column_names != ["value"] or table.num_rows != len(texts):
        raise ValueError("not one JSON value per text")
    return table.column(0)


def _with_text(kind: pa.DataType) -> pa.Schema | None:
    """A schema of the text fields only: the reader does not look for times in them, and infers the rest."""
    if not pa.types.is_struct(kind):
        return pa.schema({"value": pa.string()}) if _is_text(kind) else None
    fields = {field.name: pa.string() for field in kind if _is_text(field.type)}
    return pa.schema({"value": pa.struct(fields)}) if fields else None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_timestamp(kind))


def _leaves(kind: pa.DataType) -> list[pa.DataType]:
    return [field.type for field in kind] if pa.types.is_struct(kind) else [kind]


def _require_flat(kind: pa.DataType) -> None:
    leaves = _leaves(kind)
    if len(leaves) > MAX_FIELDS or any(map(pa.types.is_nested, leaves)):
        raise ValueError("not flat")


def _is_exact(array: pa.Array) -> bool:
    if pa.types.is_struct(array.type):
        return all(map(_is_exact, array.flatten()))
    # False also for NaN and infinity, which are no JSON; None when there is no number.
    return (
        not pa.types.is_floating(array.type)
        or pc.all(pc.less(pc.abs(array), EXACT_FLOAT)).as_py() is not False
    )
