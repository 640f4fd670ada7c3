"""Libraries that are only there with an extra, and modules of ours that take long to import."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def library(module: str, extra: str) -> Any:
    """A module that loads only when it is needed.

    Raises:
        ImportError: Says what to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{error}; pip install 'praval_storage[{extra}]'", name=error.name) from error
