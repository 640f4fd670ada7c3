"""Images: pixels and format of the file, and the picture if decoding it is safe."""

from __future__ import annotations

import io
import re
from importlib import import_module
from typing import Any

from praval_storage.display import size_text
from praval_storage.errors import SerializationError
from praval_storage.preview.beginning import BUDGET, Beginning
from praval_storage.preview.parts import Part, Picture
from praval_storage.preview.seen import Seen
from praval_storage.preview.texts import passage

LARGEST = 40_000_000
"""Pixels that are decoded; a file of a few kB can hold a hundred times as many."""
_EDGE = 512
_AS_IT_IS = 48 << 10
"""Bytes up to which the file itself is shown, and not a smaller copy."""
_MIMES = {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
_ENTITY = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def picture(found: Beginning) -> Seen:
    """An image file."""
    format = found.stored.format
    opened = _opened(format, found.body)
    width, height = opened.size
    facts = {"pixels": f"{width} x {height}", "mode": opened.mode, "format": format.upper()}
    if width * height > LARGEST:
        note = f"Not decoded: {width * height:,} pixels would take too much memory".replace(",", " ")
        return Seen("image", facts, [note])
    if found.size > BUDGET:
        note = f"Not shown: {size_text(found.size)} are more than is read for a preview"
        return Seen("image", facts, [note])
    alt = f"image, {width} x {height} pixels, {size_text(found.size)}"
    return Seen("image", facts, (), [_shown(format, _whole(found), alt)])


def image(value: Any) -> Seen:
    """An image that a provider brought."""
    width, height = value.size
    facts = {"pixels": f"{width} x {height}", "mode": value.mode}
    return Seen("image", facts, (), [_smaller(value.copy(), f"image, {width} x {height} pixels")])


def svg(found: Beginning) -> Seen:
    """An SVG drawing: shown as an image, in which no script runs and nothing is loaded, and as its text."""
    text = passage(found)
    if not found.is_whole:
        return text.noting("Not drawn: it is larger than what is read for a preview")
    if _ENTITY.search(found.body):
        return text.noting("Not drawn: its entities could stand for any amount of text")
    drawn = Picture(found.body, "image/svg+xml", f"SVG drawing, {size_text(found.size)}")
    parts: list[Part] = [drawn, *text.parts]
    return Seen("image", {"format": "SVG", **text.facts}, text.notes, parts)


def _opened(format: str, body: bytes) -> Any:
    """The image with nothing decoded yet.

    By its own class: ``Image.open`` warns of large ones, and warnings are for the whole process.
    """
    try:
        library = import_module("PIL.Image")
    except ImportError as error:
        raise SerializationError(
            "Looking at images needs Pillow", hint="Run: pip install 'praval_storage[images]'"
        ) from error
    library.init()
    make, accepts = library.OPEN[format.upper()]
    if accepts is not None and accepts(body[:16]) is not True:
        raise ValueError(f"it does not begin like a {format.upper()} file")
    return make(io.BytesIO(body), "")


def _whole(found: Beginning) -> bytes:
    if found.is_whole:
        return found.body
    with found.open() as window:
        return window.take(found.size)


def _shown(format: str, body: bytes, alt: str) -> Picture:
    opened = _opened(format, body)
    opened.load()
    if format in _MIMES and len(body) <= _AS_IT_IS:
        return Picture(body, _MIMES[format], alt)
    return _smaller(opened, alt)


def _smaller(image: Any, alt: str) -> Picture:
    image.thumbnail((_EDGE, _EDGE))
    sink = io.BytesIO()
    if image.mode in {"RGB", "L", "CMYK", "YCbCr"}:
        image.convert("RGB").save(sink, "jpeg", quality=85)
        return Picture(sink.getvalue(), "image/jpeg", alt)
    image.convert("RGBA").save(sink, "png")
    return Picture(sink.getvalue(), "image/png", alt)
