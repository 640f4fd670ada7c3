"""Colours for numbers: viridis, whose steps look equal, also to people who see fewer colours."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from praval_storage.pictures import VIRIDIS


def viridis(shares: Any) -> Any:
    """The colours of numbers between 0 and 1, as bytes of red, green and blue; anything for NaN."""
    numpy = import_module("numpy")
    stops = numpy.array([list(bytes.fromhex(stop[1:])) for stop in VIRIDIS], dtype=float)
    places = numpy.nan_to_num(shares) * (len(stops) - 1)
    lower = numpy.minimum(places.astype(int), len(stops) - 2)
    part = (places - lower)[..., None]
    return numpy.rint(stops[lower] * (1 - part) + stops[lower + 1] * part).astype(numpy.uint8)
