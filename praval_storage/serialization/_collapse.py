"""One ``*`` entry in the side map instead of one per child, where every child has the same tag."""

from __future__ import annotations

from collections import Counter
from typing import Any

from praval_storage.serialization._paths import STAR, escape, resolve, split
from praval_storage.serialization._types import Tag, Types

_FROM = 8
"""Smaller containers keep their exact paths, which read better."""
_SHARE = 4
"""Only a tag that at least one child in this many has is worth a ``*``; bounds the work, too."""

_LISTS = frozenset({"tuple", "set", "frozenset", "range"})
_NULLS = frozenset({"NaT", "NA"})
_EVERYTHING = frozenset({bool, int, float, str, list, dict})


def domain(tag: Tag | list[Any]) -> frozenset[type]:
    """JSON types a ``*`` entry with this tag applies to; it leaves everything else as it is."""
    name = tag if isinstance(tag, str) else tag[0]
    if name in _LISTS:
        return frozenset({list})
    if name in _NULLS:
        return frozenset({type(None)})
    if name in ("double", "-0.0"):
        return frozenset({int, float})
    if name == "dict":
        return frozenset({dict})
    return _EVERYTHING if name in ("numpy", "ndarray") else frozenset({str})


def merged(natural: list[Any] | dict[str, Any], parts: dict[int | str, Types]) -> Types:
    """The side map of a container, from those of its children (by index or key)."""
    if not parts:
        return {}
    stars = _stars(natural, parts) if len(natural) > _FROM else frozenset()
    types: Types = {f"/{STAR}{path}": tag for path, tag in stars}
    for key, part in parts.items():
        prefix = f"/{escape(key) if isinstance(key, str) else key}"
        for entry in part.items():
            if entry not in stars:
                types[prefix + entry[0]] = entry[1]
    return types


def _stars(natural: list[Any] | dict[str, Any], parts: dict[int | str, Types]) -> frozenset[tuple[str, Tag]]:
    counts = Counter(entry for part in parts.values() for entry in part.items())
    everyone: list[tuple[int | str, Any]] = list(
        natural.items() if isinstance(natural, dict) else enumerate(natural)
    )
    found: dict[str, Tag] = {}
    for entry, count in counts.most_common():
        path, tag = entry
        # A map has room for one tag per path: the most common one.
        if path in found or count * _SHARE < len(everyone):
            continue
        if count == len(everyone) or _holds(entry, everyone, parts):
            found[path] = tag
    return frozenset(found.items())


def _holds(
    entry: tuple[str, Tag], everyone: list[tuple[int | str, Any]], parts: dict[int | str, Types]
) -> bool:
    """Whether the entry, read for every child, would change no value that does not carry it."""
    path, tag = entry
    segments = split(path)
    # A double read as a float stays what it is: only an integer would change.
    changed = frozenset({int}) if tag == "double" else domain(tag)
    return not any(
        type(value) in changed
        for key, child in everyone
        if parts.get(key, {}).get(path) != tag
        for value in resolve(child, segments)
    )
