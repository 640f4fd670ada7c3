"""Where one is in the browser, as one text: the storage type, a slash, and the place within the provider."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Address(NamedTuple):
    """A provider and a place in it; without a provider, the list of all of them."""

    storage_type: str = ""
    place: str = ""

    def __str__(self) -> str:
        return f"{self.storage_type}/{self.place}" if self.place else self.storage_type


def parse_address(text: str, storage_types: Iterable[str]) -> Address:
    """``s3/reports/2026/`` or ``s3://reports/2026/``; the longest storage type that fits is meant.

    A text that begins with no storage type is an address all the same: asking for it says what is wrong.
    """
    head, scheme, rest = text.partition("://")
    text = f"{head}/{rest}" if scheme else text
    fitting = [name for name in storage_types if text == name or text.startswith(f"{name}/")]
    name = max(fitting, key=len, default=text.partition("/")[0])
    return Address(name, text[len(name) + 1 :])
