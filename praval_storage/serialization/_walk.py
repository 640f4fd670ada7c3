"""From Python values to natural JSON and the side map.

A writer takes a value and its depth and gives ``(natural, types)``: ``types`` maps pointers relative to
the value to tags, and is empty when the natural form is the value itself.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import orjson

from praval_storage.serialization import _scalars
from praval_storage.serialization._collapse import merged
from praval_storage.serialization._rich import library, scalar_module
from praval_storage.serialization._types import Tag, Types, UnstorableError

Writer = Callable[[Any, int], tuple[Any, Types]]

MAX_DEPTH = 254
"""Containers inside each other. orjson writes no more than this."""

_NONE: Types = {}


def write(value: Any, depth: int = 0) -> tuple[Any, Types]:
    """Natural form and side map of any value.

    Raises:
        UnstorableError: Says what cannot be stored; its ``path`` says where.
    """
    kind = type(value)
    writer = _WRITERS.get(kind) or _writer_of(kind)  # type: ignore[arg-type]  # mypy doubts that types hash
    return writer(value, depth)


def _list(value: Iterable[Any], depth: int) -> tuple[list[Any], Types]:
    if depth >= MAX_DEPTH:
        raise UnstorableError(f"nested deeper than {MAX_DEPTH} levels, or containing itself", "Flatten it")
    natural: list[Any] = []
    parts: dict[int | str, Types] = {}
    for index, child in enumerate(value):
        if child is None or child is True or child is False:
            natural.append(child)
            continue
        try:
            form, types = write(child, depth + 1)
        except UnstorableError as exc:
            exc.path.insert(0, str(index))
            raise
        natural.append(form)
        if types:
            parts[index] = types
    return natural, merged(natural, parts)


def _dict(value: Mapping[Any, Any], depth: int) -> tuple[dict[str, Any], Types]:
    if depth >= MAX_DEPTH:
        raise UnstorableError(f"nested deeper than {MAX_DEPTH} levels, or containing itself", "Flatten it")
    keys, keys_tag = _keys(value, depth)
    natural: dict[str, Any] = {}
    parts: dict[int | str, Types] = {}
    for key, child in zip(keys, value.values(), strict=True):
        if child is None or child is True or child is False:
            natural[key] = child
            continue
        try:
            natural[key], types = write(child, depth + 1)
        except UnstorableError as exc:
            exc.path.insert(0, key)
            raise
        if types:
            parts[key] = types
    types = merged(natural, parts)
    return natural, {**types, "": keys_tag} if keys_tag else types


def _keys(value: Mapping[Any, Any], depth: int) -> tuple[list[str], Tag | None]:
    """Keys as strings, and the tag that brings the exact keys back when they are not plain strings."""
    keys = list(value)
    if all(type(key) is str and _scalars.is_safe(key) for key in keys):
        return keys, None
    taken = {key for key in keys if type(key) is str}
    texts: list[str] = []
    tags: list[tuple[Any, ...] | None] = []
    for key in keys:
        text, tag = _key(key, taken, depth)
        texts.append(text)
        tags.append(tag)
    if len(set(tags)) == 1:
        return (texts, None) if tags[0] is None else (texts, ("dict", tags[0]))
    exceptions = tuple((text, tag) for text, tag in zip(texts, tags, strict=True) if tag is not None)
    return texts, ("dict", None, exceptions)


def _key(key: Any, taken: set[str], depth: int) -> tuple[str, tuple[Any, ...] | None]:
    """One key as an unused string and how to read it: ``(is JSON, side map[, text if renamed])``."""
    natural, types = write(key, depth + 1)
    is_json = type(natural) is not str
    text = name = orjson.dumps(natural).decode() if is_json else natural
    if not is_json and not types:
        if type(key) is not str and text in taken:
            raise UnstorableError(f"the keys {key!r} and {text!r}, which are stored as the same text")
        taken.add(text)
        return text, None
    count = 1
    while name in taken:
        count += 1
        name = f"{text}~{count}"
    taken.add(name)
    described = (is_json, tuple(types.items()))
    return name, described if name == text else (*described, text)


def _tuple(value: tuple[Any, ...], depth: int) -> tuple[list[Any], Types]:
    natural, types = _list(value, depth)
    return natural, {**types, "": "tuple"}


def _set(value: Any, depth: int) -> tuple[list[Any], Types]:
    natural, types = _list(_ordered(value, depth), depth)
    return natural, {**types, "": "frozenset" if isinstance(value, frozenset) else "set"}


def _ordered(values: Any, depth: int) -> list[Any]:
    """Elements in an order that does not depend on the hash seed."""
    kinds = set(map(type, values))
    # Sets compare by inclusion, which is no order; a tuple may hold some.
    if len(kinds) == 1 and kinds.isdisjoint({frozenset, tuple}):
        try:
            return sorted(values)
        except (TypeError, ArithmeticError):
            pass  # Not orderable: fall through to the order of the texts.
    return sorted(values, key=lambda value: (type(value).__name__, orjson.dumps(write(value, depth + 1)[0])))


def _range(value: range, depth: int) -> tuple[list[Any], Types]:
    natural, types = _list([value.start, value.stop, value.step], depth)
    return natural, {**types, "": "range"}


def _dataclass(value: Any, depth: int) -> tuple[dict[str, Any], Types]:
    return _dict({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, depth)


def _attrs(value: Any, depth: int) -> tuple[dict[str, Any], Types]:
    return _dict({field.name: getattr(value, field.name) for field in type(value).__attrs_attrs__}, depth)


def _scalar(scalar: Callable[[Any], tuple[Any, Tag | None]]) -> Writer:
    def writer(value: Any, depth: int) -> tuple[Any, Types]:
        try:
            natural, tag = scalar(value)
        except (OverflowError, ValueError) as exc:
            raise UnstorableError(f"a {type(value).__name__}: {exc}") from exc
        return natural, {"": tag} if tag is not None else _NONE

    return writer


def _rich(module: str) -> Writer:
    def writer(value: Any, depth: int) -> tuple[Any, Types]:
        natural, tag = library(module).write(value)
        return natural, {"": tag} if tag is not None else _NONE

    return writer


_WRITERS: dict[type, Writer] = {
    type(None): lambda value, depth: (None, _NONE),
    bool: lambda value, depth: (value, _NONE),
    dict: _dict,
    list: _list,
    tuple: _tuple,
    set: _set,
    frozenset: _set,
    deque: _list,
    range: _range,
    SimpleNamespace: lambda value, depth: _dict(vars(value), depth),
    **{kind: _scalar(scalar) for kind, scalar in _scalars.WRITERS.items()},
}
# A subclass stores as its base: reading never imports a class. datetime, a date itself, goes before date.
_BASES: dict[type, Writer] = {**_WRITERS, Mapping: _dict}
_TO_BASE: dict[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}


@lru_cache(maxsize=1024)
def _writer_of(kind: type) -> Writer:
    if module := scalar_module(kind):
        return _rich(module)
    if issubclass(kind, Enum):
        return lambda value, depth: write(value.value, depth)
    if dataclasses.is_dataclass(kind) and not issubclass(kind, str):
        return _dataclass
    if hasattr(kind, "__pydantic_fields__") and hasattr(kind, "model_dump"):
        return lambda value, depth: write(value.model_dump(), depth)
    if hasattr(kind, "__attrs_attrs__"):
        return _attrs
    for base, writer in _BASES.items():
        if issubclass(kind, base):
            return _as_base(writer, _TO_BASE[base]) if base in _TO_BASE else writer
    return _refuse


def _as_base(writer: Writer, plain: Callable[[Any], Any]) -> Writer:
    return lambda value, depth: writer(plain(value), depth)


def _refuse(value: Any, depth: int) -> tuple[Any, Types]:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if name in _WHOLE_VALUES:
        raise UnstorableError(
            f"a {name} inside another value", "Store it as a whole value, under its own key"
        )
    raise UnstorableError(f"a {name}")


_WHOLE_VALUES = {"pyarrow.lib.Table", "polars.dataframe.frame.DataFrame", "PIL.Image.Image"}
