"""What colour a point has: by its category, or by its number on a scale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from praval_storage.mapping.fields import Fields, word_of

CATEGORIES = 10
"""Ten, because digits and many other labels are that many."""
NONE = "#b0b0b0"
OTHER = "#7f7f7f"
_PLAIN = "#3f8fd2"
_BEYOND = 1e300

COLOURS = (
    "#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7",
    "#0072b2", "#8c6d46", "#d9cc2a", "#8a63d2", "#93b3a7",
)  # fmt: skip
"""Colours that people who see fewer colours can tell apart (https://jfly.uni-koeln.de/color/).

Black, which would be lost on a dark page, is brown, and the yellow is darker, for light pages; a violet and a
greyish green are added.
"""
SCALE = (
    "#414487", "#3b518b", "#355f8d", "#2f6b8e", "#2a778e", "#26828e", "#218e8d", "#1f9a8a",
    "#21a585", "#2cb17e", "#3dbc74", "#56c667", "#70cf57", "#90d743", "#b0dd2f", "#d2e21b",
)  # fmt: skip
"""Low to high: viridis without its ends, which as dots are lost on a dark or a light page."""
_SHAPES = ("circle", "square", "triangle", "diamond", "cross", "plus", "star", "hexagon", "down", "pentagon")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a legend.

    Attributes:
        label: What the points are.
        colour: ``#rrggbb``.
        shape: So that the colour is not all that tells them apart.
        count: How many there are.
    """

    label: str
    colour: str
    shape: str
    count: int

    def payload(self) -> dict[str, Any]:
        """JSON values."""
        return {"label": self.label, "colour": self.colour, "shape": self.shape, "count": self.count}


@dataclass(frozen=True, slots=True)
class Colouring:
    """The colours of some points.

    Attributes:
        field: Path of the field they come from; ``None`` = all alike.
        kind: ``"none"``, ``"category"`` or ``"number"``.
        codes: Place in the legend of each point.
        legend: What the colours mean; of numbers from low to high.
        values: The field of each point in words; empty when there is no field.
    """

    field: str | None
    kind: str
    codes: Sequence[int]
    legend: Sequence[Entry]
    values: Sequence[str] = ()


def colouring(points: Sequence[Fields], field: str | None) -> Colouring:
    """The colours of points by one of their fields."""
    if field is None:
        return Colouring(None, "none", [0] * len(points), [Entry("all", _PLAIN, "circle", len(points))])
    values = [point.get(field) for point in points]
    words = [word_of(value) for value in values]
    numbers = {value for value in values if value is not None}
    if len(numbers) > CATEGORIES and all(map(_is_number, numbers)):
        return Colouring(field, "number", *_scale(values, sorted(numbers)), words)
    return Colouring(field, "category", *_categories(values), words)


def _categories(values: Sequence[Any]) -> tuple[list[int], list[Entry]]:
    words = [None if value is None else word_of(value) for value in values]
    counts = Counter(word for word in words if word is not None)
    # The most frequent, ties by name, so that the order of the points does not matter.
    top = sorted(counts, key=lambda word: (-counts[word], word))[:CATEGORIES]
    legend = [Entry(word, COLOURS[place], _SHAPES[place], counts[word]) for place, word in enumerate(top)]
    rest = sum(counts.values()) - sum(entry.count for entry in legend)
    legend += [Entry("other", OTHER, "dot", rest), Entry("none", NONE, "ring", words.count(None))]
    places = {word: place for place, word in enumerate(top)}
    codes = [len(top) + 1 if word is None else places.get(word, len(top)) for word in words]
    return codes, legend


def _scale(values: Sequence[Any], numbers: Sequence[Any]) -> tuple[list[int], list[Entry]]:
    """Few numbers have a colour each, many one by stretches of equal length."""
    if len(numbers) <= len(SCALE):
        steps = [(len(SCALE) - 1) * place // (len(numbers) - 1) for place in range(len(numbers))]
        labels = list(map(word_of, numbers))
        places = {number: place for place, number in enumerate(numbers)}
    else:
        low, width = numbers[0], numbers[-1] - numbers[0]
        steps = list(range(len(SCALE)))
        edges = [low + width * place / len(steps) for place in range(len(steps) + 1)]
        labels = [f"{start:.4g} to {end:.4g}" for start, end in pairwise(edges)]
        places = {number: min(int((number - low) / width * len(steps)), len(steps) - 1) for number in numbers}
    codes = [len(steps) if value is None else places[value] for value in values]
    counts = Counter(codes)
    legend = [
        Entry(label, SCALE[step], "circle", counts[place])
        for place, (label, step) in enumerate(zip(labels, steps, strict=True))
    ]
    return codes, [*legend, Entry("none", NONE, "ring", counts[len(steps)])]


def _is_number(value: Any) -> bool:
    """A number on a scale whose width can be told: neither ``True`` nor beyond all measure."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _BEYOND
