"""Small pictures as ``data:`` URIs, which a notebook also shows where it is not trusted; nothing is imported.

Their colours are ones that stand out on a light page and on a dark one.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

INK = "#3f8fd2"
VIRIDIS = (
    "#440154", "#481a6c", "#472f7d", "#414487", "#39568c", "#31688e", "#2a788e", "#23888e",
    "#1f988b", "#22a884", "#35b779", "#54c568", "#7ad151", "#a5db36", "#d2e21b", "#fde725",
)  # fmt: skip
"""Sixteen stops from low to high (https://bids.github.io/colormap/)."""

_WIDTH, _HEIGHT = 240, 36
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels to PNG's number of it: grey, grey with alpha, RGB, RGBA."""


def data_uri(mime: str, body: bytes) -> str:
    """A body as the ``src`` of an image."""
    return f"data:{mime};base64,{base64.b64encode(body).decode()}"


def sparkline(values: Sequence[float]) -> str:
    """The values, all finite, as a line without axes."""
    low, high = min(values), max(values)
    # Halves, because the difference of two large numbers can be beyond the largest float.
    scale = (high / 2 - low / 2) or 1.0
    step = (_WIDTH - 4) / max(1, len(values) - 1)
    points = " ".join(
        f"{2 + place * step:.1f},{_HEIGHT - 3 - (value / 2 - low / 2) / scale * (_HEIGHT - 6):.1f}"
        for place, value in enumerate(values)
    )
    return _svg(
        f'<polyline points="{points}" fill="none" stroke="{INK}" stroke-width="1.5"/>', _WIDTH, _HEIGHT
    )


def bars(counts: Sequence[int], width: int = 80, height: int = 20) -> str:
    """Counts as columns of a histogram."""
    high, step = max(counts, default=0) or 1, width / max(1, len(counts))
    # Strokes take half the text of boxes, and a page may hold many of these.
    path = "".join(
        f"M{(place + 0.5) * step:.3g} {height}v-{height * count / high:.3g}"
        for place, count in enumerate(counts)
        if count
    )
    return _svg(f'<path d="{path}" stroke="{INK}" stroke-width="{max(1.0, step - 1):.3g}"/>', width, height)


def png(width: int, height: int, channels: int, pixels: bytes) -> bytes:
    """An image of 8 bits a channel, rows from the top, as PNG (https://www.w3.org/TR/png-3/)."""
    header = struct.pack(">2I5B", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return _image(header, b"", width * channels, pixels)


def indexed_png(width: int, height: int, pixels: bytes, colours: Sequence[str]) -> bytes:
    """An image of one byte a pixel as PNG: 0 is clear, 1 the first of the colours ``#rrggbb``."""
    palette = b"".join(bytes.fromhex(colour[1:]) for colour in ("#000000", *colours))
    clear = _chunk(b"PLTE", palette) + _chunk(b"tRNS", b"\0")
    return _image(struct.pack(">2I5B", width, height, 8, 3, 0, 0, 0), clear, width, pixels)


def _image(header: bytes, more: bytes, stride: int, pixels: bytes) -> bytes:
    lines = b"".join(b"\0" + pixels[start : start + stride] for start in range(0, len(pixels), stride))
    body = _chunk(b"IDAT", zlib.compress(lines, 9))
    return _SIGNATURE + _chunk(b"IHDR", header) + more + body + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _svg(shapes: str, width: int, height: int) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
    return data_uri("image/svg+xml", f"{head}{shapes}</svg>".encode())
