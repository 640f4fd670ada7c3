"""The static picture of a map: a small PNG with a clear ground, on light and dark pages alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from praval_storage.mapping.colouring import Colouring
from praval_storage.pictures import indexed_png

if TYPE_CHECKING:
    import numpy.typing as npt

WIDTH, HEIGHT = 320, 240
_MARGIN = 5
_DISC = (
    *((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)),
    *((0, 2), (0, -2), (2, 0), (-2, 0)),
)
_SQUARE = ((0, 0), (0, 1), (1, 0), (1, 1))
_FEW = 150
"""Points up to which discs are drawn; more are squares on every second pixel, in a third of the bytes."""


def draw(points: npt.NDArray[np.float32], colours: Colouring) -> bytes:
    """A PNG of the points; where several lie on one place, the rarest colour is seen."""
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    columns, rows = _places(points)
    codes = np.asarray(colours.codes, dtype=int)
    counts = np.array([entry.count for entry in colours.legend])
    order = np.argsort(-counts[codes], kind="stable")
    shape, step = (_DISC, 1) if len(points) <= _FEW else (_SQUARE, 2)
    columns, rows = columns // step * step, rows // step * step
    for down, right in shape:
        canvas[rows[order] + down, columns[order] + right] = codes[order] + 1
    return indexed_png(WIDTH, HEIGHT, canvas.tobytes(), [entry.colour for entry in colours.legend])


def _places(points: npt.NDArray[np.float32]) -> Sequence[Any]:
    """Columns and rows of points between -1 and 1, up being up."""
    middle = np.array([WIDTH, HEIGHT]) / 2
    most = np.maximum(np.abs(points).max(axis=0), 1e-9)
    scale = ((middle - _MARGIN) / most).min()  # one for both axes
    columns, rows = np.rint(middle + points * (scale, -scale)).astype(int).T
    return columns, rows
