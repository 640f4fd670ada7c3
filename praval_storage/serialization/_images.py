"""PIL images as whole values. Everything but JPEG is lossless, and checked when it is stored."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from praval_storage.errors import SerializationError

FORMATS = ("png", "jpeg", "gif", "webp", "tiff", "bmp")
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_OPTIONS: dict[str, dict[str, Any]] = {"jpeg": {"quality": 95}, "webp": {"lossless": True, "exact": True}}


def default_format(value: Any) -> str | None:
    """``png``, or ``tiff`` for the modes PNG does not have."""
    if not isinstance(value, Image.Image):
        return None
    return "png" if value.mode in _PNG_MODES else "tiff"


def encode(value: Any, format: str) -> tuple[bytes, None]:
    """Body of an image."""
    if getattr(value, "n_frames", 1) > 1:
        raise SerializationError("An image with several frames is stored from its file", hint="Pass the Path")
    sink = io.BytesIO()
    try:
        value.save(sink, format, **_OPTIONS.get(format, {}))
    except (OSError, ValueError, KeyError) as exc:
        raise _refusal(value, format) from exc
    body = sink.getvalue()
    if format != "jpeg" and not _same(decode(body, format, None), value):
        raise _refusal(value, format)
    return body, None


def decode(body: bytes, format: str, types: dict[str, Any] | None) -> Any:
    """The image of a body in this format; no other decoder is tried."""
    with Image.open(io.BytesIO(body), formats=[format.upper()]) as opened:
        return opened.copy()


def _same(left: Any, right: Any) -> bool:
    return bool(
        (left.mode, left.size, left.getpalette()) == (right.mode, right.size, right.getpalette())
        and left.tobytes() == right.tobytes()
    )


def _refusal(value: Any, format: str) -> SerializationError:
    return SerializationError(
        f"An image of mode {value.mode} cannot be held exactly as {format}", hint="Use a .png or .tiff key"
    )
