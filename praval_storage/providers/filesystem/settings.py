"""What a filesystem provider is made from, and where that may come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from praval_storage.settings import Settings, gather, make, variables

DEFAULT_PATH = "./storage"


@dataclass(frozen=True, slots=True)
class FileSystemSettings(Settings):
    """What a ``FileSystemProvider`` is made from.

    Attributes:
        base_path: Directory of the data; relative to the working directory at that time.
        auto_create: Make the directory on the first write if it is missing.
        pretty_json: Write JSON over several lines.
        allow_pickle: Write and read pickles. Reading a pickle runs code.
        durable: Return from a write only when the disk has it; otherwise a power failure may lose it.
    """

    base_path: str | Path = field(
        default=DEFAULT_PATH, metadata=variables("PRAVAL_STORAGE_PATH", "FILESYSTEM_BASE_PATH")
    )
    auto_create: bool = True
    pretty_json: bool = False
    allow_pickle: bool = False
    durable: bool = True

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """``PRAVAL_STORAGE_PATH``, else ``FILESYSTEM_BASE_PATH``, else ``./storage``."""
        return make(cls, gather(cls, environ))
