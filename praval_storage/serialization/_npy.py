"""numpy arrays as whole values: the ``.npy`` format, version chosen by numpy, never pickled."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from praval_storage.errors import SerializationError

FORMATS = ("npy", "json")


def default_format(value: Any) -> str | None:
    """``npy`` for an array; ``None`` for scalars and the subclasses that mean something else."""
    return "npy" if type(value) in (np.ndarray, np.memmap) else None


def encode(value: Any, format: str) -> tuple[bytes, None]:
    """Body of an array."""
    if value.dtype.hasobject:
        raise SerializationError(
            "A numpy array of Python objects cannot be stored", hint="Convert it with .tolist() or to a dtype"
        )
    sink = io.BytesIO()
    np.lib.format.write_array(sink, np.asanyarray(value), allow_pickle=False)
    return sink.getvalue(), None


def decode(body: bytes, format: str, types: dict[str, Any] | None) -> Any:
    """The array of a ``.npy`` body; one with pickled objects is refused."""
    return np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
