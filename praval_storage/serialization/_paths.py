"""Paths of the side map: JSON pointers (RFC 6901) with ``*`` for "every child" (``~2``: a literal one)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

STAR = "*"


def escape(segment: str) -> str:
    """A key as one segment of a pointer."""
    if "~" in segment or "/" in segment or STAR in segment:
        return segment.replace("~", "~0").replace("/", "~1").replace(STAR, "~2")
    return segment


def unescape(segment: str) -> str:
    """The key one segment of a pointer stands for."""
    if "~" in segment:
        return segment.replace("~2", STAR).replace("~1", "/").replace("~0", "~")
    return segment


def split(path: str) -> list[str]:
    """The segments of a pointer, still escaped."""
    if path and not path.startswith("/"):
        raise ValueError(f"the pointer {path!r} does not start with '/'")
    return path.split("/")[1:]


def children(value: Any, segment: str) -> Iterator[Any]:
    """Keys or indexes of ``value`` that a segment names; none when it does not resolve."""
    if isinstance(value, dict):
        if segment == STAR:
            yield from list(value)
        elif (key := unescape(segment)) in value:
            yield key
    elif isinstance(value, list):
        if segment == STAR:
            yield from range(len(value))
        elif segment.isdecimal() and int(segment) < len(value):
            yield int(segment)


def resolve(value: Any, segments: list[str]) -> Iterator[Any]:
    """Every value below ``value`` that the pointer reaches."""
    if not segments:
        yield value
        return
    for key in children(value, segments[0]):
        yield from resolve(value[key], segments[1:])
