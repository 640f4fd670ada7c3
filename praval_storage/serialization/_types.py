"""Words the codec's modules share."""

from __future__ import annotations

from typing import Any

Tag = str | tuple[Any, ...]
"""Name of a type, or the name and what else it takes to read the value back; hashable, JSON-able."""

Types = dict[str, Tag]
"""Side map: JSON pointer into the natural form -> tag."""


class UnstorableError(Exception):
    """A value that JSON cannot say; gathers its path on the way up."""

    def __init__(self, reason: str, hint: str = "Convert it, or pass allow_pickle=True to the provider"):
        super().__init__(reason)
        self.hint = hint
        self.path: list[str] = []
