"""Where a record's vector comes from, and what a vector must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from praval_storage.errors import ConfigurationError, SerializationError
from praval_storage.providers.qdrant.engine import DEFAULT_VECTOR, DISTANCES, Rules, Schema, Space

FIELD = "vector"
POINTER = f"/{FIELD}"
"""What ``serialization.encode`` is asked to pack."""

Embed = Callable[[str], Any]

_LARGEST = float(np.finfo(np.float32).max)
_PLAIN = frozenset({float, int})


def vector_of(data: Any, embed: Embed | None) -> list[float] | None:
    """The vector of a record: its own under ``"vector"``, else the embedding of its text, else none."""
    if isinstance(data, dict):
        if FIELD in data:
            return _own(data[FIELD])
        data = data.get("text")
    if embed is None or not isinstance(data, str):
        return None
    return checked(embed(data), "the vector that embed() returned")


def checked(value: Any, what: str) -> list[float]:
    """A value that has to be a vector.

    Raises:
        SerializationError: It is not one-dimensional, not numeric, empty or not finite in float32.
    """
    numbers = _numbers(value)
    if numbers is None:
        raise SerializationError(
            f"{what} must be a one-dimensional list, tuple or array of numbers, not {_described(value)}"
        )
    return _finite(numbers, what, "check what it was computed from, and by which model")


def check_size(size: int, space: Space) -> None:
    """Compare the size of a vector with the collection before anything is sent.

    Raises:
        SerializationError: Says the expected and the given number of dimensions.
    """
    if size != space.size:
        raise SerializationError(
            f"The collection expects vectors with {space.size} dimensions, got {size}",
            hint="Use the embedding model the collection was filled with, or another collection",
        )


def choose(schema: Schema, rules: Rules) -> tuple[str, Space] | None:
    """The vector of a collection that is meant, and its space; ``None`` when it has no vector at all.

    Raises:
        ConfigurationError: It is not clear which one, or it is not what the provider was told.
    """
    if not schema.spaces:
        return None
    name = rules.vector_name
    if name is None:
        name = next(iter(schema.spaces)) if len(schema.spaces) == 1 else DEFAULT_VECTOR
    if name not in schema.spaces:
        names = ", ".join(map(repr, schema.spaces))
        missing = f"none called {name!r}" if rules.vector_name is not None else "and none was chosen"
        raise ConfigurationError(
            f"The collection has the vectors {names}, {missing}",
            hint="Choose one with vector_name=, of dm.search or for good of QdrantProvider",
        )
    _check_rules(schema.spaces[name], rules)
    return name, schema.spaces[name]


def beside(payload: Mapping[str, Any], vector: Any) -> dict[str, Any]:
    """Somebody else's payload with the vectors of its point: under ``vector`` where that name is free.

    Otherwise the field of the payload keeps its name, and the vectors stand under ``_vector``, or with as
    many more underscores as it takes.
    """
    name = FIELD
    while name in payload:
        name = f"_{name}"
    return {**payload, name: vector}


def may_be_vectors(name: str) -> bool:
    """Whether the vectors of somebody else's point may stand under a name."""
    return name.lstrip("_") == FIELD


def _check_rules(space: Space, rules: Rules) -> None:
    if rules.size not in {None, space.size}:
        raise ConfigurationError(
            f"The collection holds vectors with {space.size} dimensions, but vector_size={rules.size}",
            hint="Leave vector_size out, or use another collection_name",
        )
    # The default cannot be told from a choice: an existing collection has the last word on it.
    if rules.distance not in {DISTANCES[0], space.distance}:
        raise ConfigurationError(
            f"The collection compares vectors by {space.distance!r}, but distance={rules.distance!r}",
            hint="Leave distance out, or use another collection_name",
        )


def _own(value: Any) -> list[float] | None:
    """Anything else that is called ``vector`` (a text, a nested list, a flag) is just data."""
    numbers = _numbers(value)
    cure = "leave the record without a vector or repair it"
    return None if numbers is None else _finite(numbers, f"data[{FIELD!r}]", cure)


def _numbers(value: Any) -> np.ndarray[Any, Any] | None:
    if isinstance(value, np.ndarray):
        return value if value.ndim == 1 and value.size and value.dtype.kind in "fiu" else None
    if not isinstance(value, (list, tuple)) or not value or not all(map(_is_number, set(map(type, value)))):
        return None
    try:
        return np.asarray(value, dtype=np.float64)
    except OverflowError:
        return np.asarray([np.inf])


def _is_number(kind: type) -> bool:
    return kind in _PLAIN or issubclass(kind, (np.floating, np.integer))


def _finite(numbers: np.ndarray[Any, Any], what: str, cure: str) -> list[float]:
    if not _is_finite(numbers):
        wrong = "NaN" if np.isnan(numbers).any() else "an infinity or a number beyond float32"
        raise SerializationError(f"{what} holds {wrong}", hint=f"Qdrant compares vectors in float32; {cure}")
    vector: list[float] = numbers.astype(np.float32, copy=False).tolist()
    return vector


def _is_finite(numbers: np.ndarray[Any, Any]) -> bool:
    if numbers.dtype == np.float32:
        return bool(np.isfinite(numbers).all())
    # Before the conversion, which would warn; NaN is not <= anything.
    return bool(np.abs(numbers.astype(np.float64, copy=False)).max() <= _LARGEST)


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"an array of shape {shape} and {value.dtype}"
