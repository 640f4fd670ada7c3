"""From natural JSON and the side map back to the Python value. Looks tags up; never imports by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from praval_storage.errors import SerializationError
from praval_storage.serialization import _pack, _scalars
from praval_storage.serialization._collapse import domain
from praval_storage.serialization._paths import STAR, children, split
from praval_storage.serialization._rich import library

_FAULTS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)


def restore(natural: Any, types: dict[str, Any]) -> Any:
    """The value whose natural form and side map these are. ``natural`` is changed in place.

    Raises:
        SerializationError: The side map does not belong to the value, or was tampered with.
    """
    box = [natural]
    try:
        # Children before the containers that hold them; at one depth the general before the particular,
        # because a ``*`` entry tells what it applies to by the JSON type.
        for path in sorted(types, key=lambda path: (-path.count("/"), -path.count(STAR))):
            _apply(box, path, types[path])
    except _FAULTS as exc:
        if isinstance(exc, SerializationError):
            raise
        raise SerializationError(f"The stored types do not fit the stored value: {exc!r}") from exc
    return box[0]


def _apply(box: list[Any], path: str, tag: Any) -> None:
    name, *args = [tag] if isinstance(tag, str) else tag
    read = _reader(name)
    segments = split(path)
    starred = STAR in segments
    types = domain(tag) if starred else frozenset()
    found = False
    for holder, key in _places(box, segments):
        found = True
        value = holder[key]
        if not starred or type(value) in types:
            holder[key] = read(value, *args)
    if not (found or starred):
        raise LookupError(f"nothing at {path!r}")


def _places(box: Any, segments: list[str]) -> Iterator[tuple[Any, Any]]:
    places: list[tuple[Any, Any]] = [(box, 0)]
    for segment in segments:
        places = [(holder[key], child) for holder, key in places for child in children(holder[key], segment)]
    return iter(places)


def _reader(name: str) -> Callable[..., Any]:
    if (reader := _READERS.get(name)) is not None:
        return reader
    if (place := _RICH_READERS.get(name)) is None:
        raise LookupError(f"unknown type tag {name!r}")
    module, function = place
    return getattr(library(module), function)  # type: ignore[no-any-return]


def _list_of(kind: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise TypeError(f"a list is needed, not {type(value).__name__}")
        return kind(value)

    return read


def _dict(value: dict[str, Any], common: Any = None, exceptions: Any = ()) -> dict[Any, Any]:
    tags = dict(exceptions)
    return {_key(text, tags.get(text, common)): child for text, child in value.items()}


def _key(text: str, tag: Any) -> Any:
    if tag is None:
        return text
    is_json, types, *renamed = tag
    source = renamed[0] if renamed else text
    return restore(orjson.loads(source) if is_json else source, dict(types))


_READERS: dict[str, Callable[..., Any]] = {
    **_scalars.READERS,
    "tuple": _list_of(tuple),
    "set": _list_of(set),
    "frozenset": _list_of(frozenset),
    "range": _list_of(lambda bounds: range(*bounds)),
    "dict": _dict,
    "packed": _pack.read,
}
_RICH_READERS = {
    "numpy": ("_arrays", "read_scalar"),
    "ndarray": ("_arrays", "read_array"),
    "Timestamp": ("_pandas", "read_timestamp"),
    "Timedelta": ("_pandas", "read_timedelta"),
    "NaT": ("_pandas", "read_nat"),
    "NA": ("_pandas", "read_na"),
}
