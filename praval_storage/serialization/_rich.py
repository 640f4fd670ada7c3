"""Which module here knows a third-party type. The libraries load only when one of their values is met."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from types import ModuleType

from praval_storage.errors import SerializationError

_SCALARS = {"numpy": "_arrays", "pandas": "_pandas"}
_WHOLE = {"numpy": "_npy", "pandas": "_frames", "pyarrow": "_frames", "polars": "_polars", "PIL": "_images"}


def library(name: str) -> ModuleType:
    """The module of this package with that name, imported on first use.

    Raises:
        SerializationError: The library it needs is not installed.
    """
    qualified = f"{__package__}.{name}"
    if (module := sys.modules.get(qualified)) is not None:
        return module
    try:
        return import_module(qualified)
    except ImportError as exc:
        raise SerializationError(
            f"This format needs {exc.name}, which is not installed", hint=f"Run: pip install {exc.name}"
        ) from exc


@lru_cache(maxsize=1024)
def family(kind: type) -> str | None:
    """Top-level package, among those known here, that ``kind`` or its nearest base comes from."""
    for base in kind.__mro__:
        root = base.__module__.partition(".")[0]
        if root in _WHOLE:
            return root
    return None


def scalar_module(kind: type) -> str | None:
    """Module that writes a value of this type into JSON."""
    return _SCALARS.get(family(kind) or "")


def whole_module(kind: type) -> str | None:
    """Module that writes a value of this type in a format of its own."""
    return _WHOLE.get(family(kind) or "")
