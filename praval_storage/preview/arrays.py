"""NumPy arrays: their figures, a line of what has one dimension, a heat map of what has two."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from praval_storage.cells import cell
from praval_storage.display import counted
from praval_storage.pictures import VIRIDIS, indexed_png, png, sparkline
from praval_storage.preview.beginning import Beginning
from praval_storage.preview.parts import Line, Part, Picture
from praval_storage.preview.seen import Seen
from praval_storage.preview.tables import needing
from praval_storage.preview.tree import PER_LEVEL, tree

POINTS = 120
"""Points of a sparkline."""
PIXELS = 80
"""Rows and columns of a heat map at most."""
SHOWN = 160
"""Its width and height on the page, about."""
_HEADER_LIMIT = 10_000


def npy(found: Beginning) -> Seen:
    """An ``.npy`` file, of a large one as much as its beginning holds. Objects are never loaded."""
    needing("numpy")
    numpy = import_module("numpy")
    source = io.BytesIO(found.body)
    shape, is_fortran, dtype = _header(numpy, source)
    facts = {"shape": _shape(shape), "dtype": str(dtype)}
    if dtype.hasobject:
        return Seen("array", facts, ["It holds pickled Python objects, which are never loaded here"])
    count = min((len(found.body) - source.tell()) // max(1, dtype.itemsize), _product(shape))
    values = numpy.frombuffer(found.body, dtype, count, source.tell())
    if count == _product(shape):
        return _seen(values.reshape(shape, order="F" if is_fortran else "C"), facts, ())
    note = f"Of the first {counted(count, 'value')} of {_product(shape):,}".replace(",", " ")
    rows = (
        values[: count - count % shape[-1]].reshape(-1, shape[-1])
        if _has_rows(shape, count, is_fortran)
        else values
    )
    return _seen(rows, facts, [note])


def array(value: Any) -> Seen:
    """An array that a provider brought."""
    facts = {"shape": _shape(value.shape), "dtype": str(value.dtype)}
    if value.dtype.hasobject:
        return Seen("array", facts, ["It holds Python objects"])
    return _seen(value, facts, ())


def numbers(found: Beginning, dtype: str) -> Seen:
    """A body that is nothing but numbers, one after the other, as vector databases keep them.

    Raises:
        ValueError: It is none.
    """
    needing("numpy")
    numpy = import_module("numpy")
    width = numpy.dtype(dtype).itemsize
    if not found.size or found.size % width:
        raise ValueError(f"{found.size} bytes are no multiple of {width}" if found.size else "it is empty")
    values = numpy.frombuffer(found.body, dtype, len(found.body) // width)
    with numpy.errstate(invalid="ignore"):  # any bytes are numbers, also NaNs that signal
        drawn, facts = line("values", values)
    whole = f"{found.size // width:,}".replace(",", " ")
    notes = [] if found.is_whole else [f"Of the first {counted(values.size, 'value')} of {whole}"]
    # Through its text, a float32 is what was meant: 0.1 and not 0.10000000149011612.
    shown = tree([float(str(value)) for value in values[:PER_LEVEL]], values.size)
    return Seen("vector", facts, notes, [*([drawn] if drawn else []), shown])


def line(name: str, numbers: Sequence[float]) -> tuple[Line | None, dict[str, str]]:
    """A sparkline of numbers, and their figures in words: dimensions, norm, extremes."""
    numpy = import_module("numpy")
    values = numpy.asarray(numbers, dtype=float)
    finite = values[numpy.isfinite(values)]
    facts = {"dimensions": str(values.size)}
    if not finite.size:
        return None, facts
    largest = numpy.abs(finite).max() or 1.0
    with numpy.errstate(over="ignore"):  # the norm of huge numbers can be beyond the largest float
        facts["norm"] = f"{largest * numpy.linalg.norm(finite / largest):.4g}"
    facts |= {"min": f"{finite.min():.4g}", "max": f"{finite.max():.4g}"}
    if finite.size < values.size:
        facts["not finite"] = str(values.size - finite.size)
    words = ", ".join(f"{word} {text}" for word, text in facts.items())
    return Line(name, sparkline(_peaks(numpy, finite).tolist()), words), facts


def _header(numpy: Any, source: io.BytesIO) -> tuple[tuple[int, ...], bool, Any]:
    version = numpy.lib.format.read_magic(source)
    read = {(1, 0): numpy.lib.format.read_array_header_1_0, (2, 0): numpy.lib.format.read_array_header_2_0}
    # Version 3 is version 2 with names of fields in UTF-8.
    found: tuple[tuple[int, ...], bool, Any] = read.get(version, numpy.lib.format.read_array_header_2_0)(
        source, max_header_size=_HEADER_LIMIT
    )
    return found


def _seen(values: Any, facts: dict[str, str], notes: Sequence[str]) -> Seen:
    if not values.size:
        return Seen("array", facts, ["There are no values", *notes])
    with import_module("numpy").errstate(all="ignore"):  # sums can be beyond the largest float
        known = {**facts, **_figures(values)}
        return Seen("array", known, notes, [part for part in _drawn(values) if part is not None])


def _figures(values: Any) -> dict[str, str]:
    numpy = import_module("numpy")
    kind = values.dtype.kind
    if kind in "mM":
        there = values[~numpy.isnat(values)]
        extremes = {"min": str(there.min()), "max": str(there.max())} if there.size else {}
        return {**extremes, "NaT": str(values.size - there.size)}
    if kind not in "biufc":
        return {"first": cell(values.flat[0]).text}
    there = values[~numpy.isnan(values)] if kind in "fc" else values
    facts = {}
    if there.size and kind != "c":
        facts = {"min": _figure(there.min()), "max": _figure(there.max())}
    if there.size:
        mean = there.mean(dtype=None if kind == "c" else float)
        facts["mean"] = f"{mean:.6g}"
    return {**facts, "NaN": str(values.size - there.size)}


def _figure(number: Any) -> str:
    return f"{number:.6g}" if number.dtype.kind == "f" else str(number)


def _drawn(values: Any) -> list[Part | None]:
    if values.dtype.kind not in "biuf":
        return []
    if values.ndim == 3 and values.shape[2] in (1, 3, 4) and values.dtype.str[1:] == "u1":
        return [_photograph(values)]
    if values.ndim == 1 and values.size > 1:
        drawn, _ = line("values", values)
        # What is smallest and largest stands in the facts.
        return [drawn and replace(drawn, alt=f"{values.size} in order")]
    return [_heat_map(values)] if values.ndim == 2 and min(values.shape) > 1 else []


def _heat_map(values: Any) -> Picture | None:
    numpy = import_module("numpy")
    sample = _thinned(values).astype(float)
    finite = sample[numpy.isfinite(sample)]
    if not finite.size:
        return None
    low, high = finite.min(), finite.max()
    # Halves, because the difference of two large numbers can be beyond the largest float.
    shares = (sample / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)
    steps = numpy.where(numpy.isfinite(shares), shares * (len(VIRIDIS) - 1), -1)
    pixels = (numpy.rint(steps).astype(int) + 1).astype(numpy.uint8)  # what is not finite is clear
    height, width = pixels.shape
    alt = f"heat map, {values.shape[0]} x {values.shape[1]}, dark {low:.4g} to bright {high:.4g}"
    return _picture(indexed_png(width, height, pixels.tobytes(), VIRIDIS), alt, width, height)


def _photograph(values: Any) -> Picture:
    height, width, channels = values.shape
    sample = import_module("numpy").ascontiguousarray(_thinned(values))
    body = png(sample.shape[1], sample.shape[0], channels, sample.tobytes())
    alt = f"as an image, {width} x {height} pixels, {channels} channels"
    return _picture(body, alt, sample.shape[1], sample.shape[0])


def _thinned(values: Any) -> Any:
    """Every nth row and column."""
    rows, columns = (-(-size // PIXELS) for size in values.shape[:2])
    return values[::rows, ::columns]


def _picture(body: bytes, alt: str, width: int, height: int) -> Picture:
    times = max(1, SHOWN // max(height, width))
    return Picture(body, "image/png", alt, (width * times, height * times))


def _peaks(numpy: Any, values: Any) -> Any:
    """As many points as a line has room for: of each stretch the value farthest from nothing."""
    if values.size <= POINTS:
        return values
    stretches = numpy.array_split(values, POINTS)
    return numpy.array([stretch[numpy.abs(stretch).argmax()] for stretch in stretches])


def _has_rows(shape: tuple[int, ...], count: int, is_fortran: bool) -> bool:
    return len(shape) == 2 and not is_fortran and count >= 2 * shape[-1]


def _product(shape: Sequence[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one value"
