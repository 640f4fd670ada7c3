"""Records as columns: ``key``, the data's own fields, ``metadata.*`` and the times.

Two routes lead to a column. Where all bodies are flat JSON of one shape, Arrow reads them as text, with no
Python object per record (:mod:`praval_storage.results.json_text`). For everything else the values are decoded
and picked apart field by field; what type a column then gets is for the frame to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import orjson
import pyarrow as pa

from praval_storage.errors import SerializationError
from praval_storage.filters.paths import ROOTS, Path
from praval_storage.records import NO_METADATA, Stored
from praval_storage.results.json_text import read_flat_json
from praval_storage.serialization import decode_json, decode_metadata
from praval_storage.serialization._paths import STAR, unescape
from praval_storage.serialization._restore import restore

UTC = pa.timestamp("us", "UTC")

_TYPED_METADATA = b'"$types"'
_TAKEN = ROOTS | {"score"}
_TAGS_OF_TEXT = frozenset({"datetime", "date", "time", "timedelta", "Decimal", "UUID", "bytes"})
"""Types whose natural form is never anything but text."""

Values = Callable[[], list[Any]]
Column: TypeAlias = pa.ChunkedArray | list[Any]
"""Cells that Arrow holds exactly, or the Python values that were stored; ``None`` where there was none."""
Tags: TypeAlias = dict[str, tuple[Any, int]]
"""Column to the type tag of its cells, and how many have it."""
Columns: TypeAlias = dict[str, Column]


class Cells(NamedTuple):
    """What frames are made of.

    Attributes:
        rows: The records, their bodies fetched when ``values`` is given.
        values: Gives the decoded data of all rows. ``None`` = the data is not wanted; there are columns for
            format, size and the last write instead.
        scores: One number per row for a column ``score``.
        wanted: The columns to make, in this order: names or filter paths; ``None`` = all there are.
    """

    rows: Sequence[Stored]
    values: Values | None
    scores: Sequence[float] | None = None
    wanted: Sequence[str] | None = None


def columns_of(cells: Cells) -> Columns:
    """The columns of some records: those wanted, or all in their order."""
    if cells.wanted is None:
        return _all_columns(*cells[:3])
    paths = {name: Path.parse(name) for name in cells.wanted}
    found = _all_columns(*cells[:3])
    return {name: found[name] if name in found else _at(path, cells) for name, path in paths.items()}


def _at(path: Path, cells: Cells) -> Column:
    """What is at a path that is no column: below a field, or an attribute frames leave out."""
    if path.root == "data":
        documents = [None] * len(cells.rows) if cells.values is None else cells.values()
    elif path.root == "metadata":
        documents = [decode_metadata(row.metadata) for row in cells.rows]
    else:
        return [getattr(row, path.root) for row in cells.rows]
    return [path.descend(document) for document in documents]


def _all_columns(rows: Sequence[Stored], values: Values | None, scores: Sequence[float] | None) -> Columns:
    found: Columns = {"key": [row.key for row in rows]}
    if scores is not None:
        found["score"] = _array(scores, pa.float64())
    if values is None:
        found["format"] = [row.format for row in rows]
        found["size"] = _array([row.size for row in rows], pa.int64())
    elif rows:
        found |= _data(rows, values)
    found |= _metadata([row.metadata for row in rows])
    found["created_at"] = _times([row.created_at for row in rows])
    if values is None:
        found["updated_at"] = _times([row.updated_at for row in rows])
    return found


def column_name(field: str, root: str) -> str:
    """The filter path of a top-level field: for data the bare name, unless that is another path."""
    if root == "data" and field not in _TAKEN and not field.startswith(("$", "data.", "metadata.")):
        return field
    return f"{root}.{field}"


def _json_bodies(rows: Sequence[Stored]) -> list[bytes] | None:
    """The bodies, when every one is JSON text."""
    if any(row.format != "json" for row in rows):
        return None
    # A body is missing only where the provider brought the value itself.
    bodies = [row.body for row in rows if row.body is not None]
    return bodies if len(bodies) == len(rows) else None


def _data(rows: Sequence[Stored], values: Values) -> Columns:
    texts = _json_bodies(rows)
    tags = None if texts is None else _column_tags(rows)
    if texts is None or tags is None:
        return _from_values(values(), "data")
    if not tags:
        return _fields(texts, values, "data")
    found = _from_texts(texts, "data")
    return (found and _restored(found, tags)) or _from_values(values(), "data")


def _metadata(texts: list[bytes]) -> Columns:
    if not set(texts) - {NO_METADATA}:
        return {}
    typed = any(_TYPED_METADATA in text for text in texts)
    return _fields(None if typed else texts, lambda: list(map(decode_metadata, texts)), "metadata")


def _fields(texts: list[bytes] | None, values: Values, root: str) -> Columns:
    if texts is None:
        return _from_values(values(), root)
    found = _from_texts(texts, root)
    return _from_values(_documents(texts) or values(), root) if found is None else found


def _from_texts(texts: list[bytes], root: str) -> Columns | None:
    array = read_flat_json(texts)
    if array is None:
        return None
    if not pa.types.is_struct(array.type):
        return {root: array}
    fields = {field.name: column for field, column in zip(array.type, array.flatten(), strict=True)}
    if not all(map(is_column, fields)):
        return None
    # The reader puts fields that it was told of before the others.
    return {column_name(name, root): fields[name] for name in _first_names(texts, len(fields))}


def _first_names(texts: list[bytes], count: int) -> list[str]:
    """The names of the ``count`` fields there are, in the order of their first appearance."""
    seen: dict[str, None] = {}
    for text in texts:
        seen.update(dict.fromkeys(orjson.loads(text) or ()))
        if len(seen) == count:
            break
    return list(seen)


def _documents(texts: list[bytes]) -> list[Any] | None:
    """The values of all texts, parsed together, which saves most of the time of one by one."""
    try:
        found: list[Any] = decode_json(b"[" + b",".join(texts) + b"]")
    except SerializationError:
        return None
    return found if len(found) == len(texts) else None


def _column_tags(rows: Sequence[Stored]) -> Tags | None:
    """The side maps of all rows as one by column; ``None`` where that says less."""
    found: Tags = {}
    for types in (row.types for row in rows if row.types):
        for path, tag in types.items():
            known, count = found.get(path, (tag, 0))
            found[path] = (tag, count + 1)
            if known != tag or not _is_column_tag(path, tag):
                return None
    return {column_name(unescape(path[1:]), "data"): tag for path, tag in found.items()}


def _is_column_tag(path: str, tag: Any) -> bool:
    one_field = path.rfind("/") == 0 and STAR not in path
    return one_field and (tag if isinstance(tag, str) else tag[0]) in _TAGS_OF_TEXT


def _restored(columns: Columns, tags: Tags) -> Columns | None:
    """The columns with the tagged ones as Python values, if every text in these has the tag."""
    for name, (tag, count) in tags.items():
        array = columns.get(name)
        if array is None or isinstance(array, list) or not pa.types.is_string(array.type):
            return None
        if len(array) - array.null_count != count:
            return None
        columns[name] = restore(array.to_pylist(), {f"/{STAR}": tag})
    return columns


def _from_values(values: list[Any], root: str) -> Columns:
    shapes = _shapes(values)
    illegal = {name for name in shapes.names if not is_column(name)}
    if shapes.are_all and not illegal:
        return {column_name(name, root): _cells(values, name, shapes) for name in shapes.names}
    opaque = [type(value) is not dict or not illegal.isdisjoint(value) for value in values]
    documents = [{} if whole else value for value, whole in zip(values, opaque, strict=True)]
    shapes = _shapes(documents)
    found = {column_name(name, root): _cells(documents, name, shapes) for name in shapes.names}
    rest = [value if whole else None for value, whole in zip(values, opaque, strict=True)]
    # What is None everywhere gets its column only when there is no other.
    if all(opaque) or any(value is not None for value in rest):
        found[root] = rest
    return found


class _Shapes(NamedTuple):
    """The names of all fields, whether every value has every field, and whether all values are dicts."""

    names: dict[Any, None]
    is_one: bool
    are_all: bool


def _shapes(values: list[Any]) -> _Shapes:
    documents = [value for value in values if type(value) is dict]
    found = dict.fromkeys(map(tuple, documents))
    are_all = len(documents) == len(values)
    return _Shapes(dict.fromkeys(chain.from_iterable(found)), len(found) == 1, are_all)


def _cells(documents: list[Any], name: Any, shapes: _Shapes) -> list[Any]:
    if shapes.is_one and shapes.are_all:
        return list(map(itemgetter(name), documents))
    return [document.get(name) for document in documents]


def is_column(name: object) -> bool:
    """Whether every kind of frame can have a column of this name: a text without NUL or lone surrogate."""
    if not isinstance(name, str) or "\0" in name:
        return False
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _array(values: Sequence[Any], kind: pa.DataType) -> Column:
    return pa.chunked_array([pa.array(values, kind)])


def _times(values: list[datetime | None]) -> Column:
    return _array(values, UTC)
