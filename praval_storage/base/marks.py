"""Which methods change what is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def changes(method: Method) -> Method:
    """Mark a method that changes what is stored: a provider that is registered read-only refuses it.

    What overrides such a method need not be marked again.
    """
    vars(method)[_CHANGES] = True
    return method


def is_changing(kind: type, name: str) -> bool:
    """Whether a method of a class, or one that it overrides, is marked with ``changes``."""
    return any(_CHANGES in getattr(vars(each).get(name), "__dict__", ()) for each in kind.__mro__)


_CHANGES = "_praval_changes"
