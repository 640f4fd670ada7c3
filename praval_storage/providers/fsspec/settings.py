"""Where the files are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from praval_storage.errors import ConfigurationError
from praval_storage.settings import Settings, gather, make, variables

_PLACES = frozenset({"endpoint_url", "host", "project", "account_name", "region", "region_name", "protocol"})


@dataclass(frozen=True, slots=True)
class FsspecSettings(Settings):
    """Where the files are.

    Attributes:
        url: Folder as fsspec writes it, for example ``"gs://bucket/folder"``.
        storage_options: What else its file system needs to know, credentials among it.
        max_concurrency: Files read or written at the same time.
    """

    url: str = field(metadata=variables("FSSPEC_URL"))
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    max_concurrency: int = 8

    def __post_init__(self) -> None:
        if "://" not in self.url:
            raise ConfigurationError(
                f"{self.url!r} is no URL of a file system",
                hint="For example 'memory://data' or 'gs://bucket'",
            )
        if "@" in urlsplit(self.url).netloc and urlsplit(self.url).password:
            # URLs are shown.
            raise ConfigurationError("The URL holds a password", hint="Put it into storage_options=")
        if self.max_concurrency < 1:
            raise ConfigurationError("max_concurrency must be at least 1")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """``FSSPEC_URL``; options come from fsspec's own configuration.

        Raises:
            ConfigurationError: No URL is given.
        """
        found = gather(cls, environ)
        if "url" not in found.values:
            raise ConfigurationError("No file system is configured", hint="Set FSSPEC_URL, or pass url=")
        return make(cls, found)

    def secrets(self) -> Iterator[str]:
        """Every text among the options but places: which of them are secret only their file system knows."""
        hidden = {name: value for name, value in self.storage_options.items() if name not in _PLACES}
        yield from _texts(hidden)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) > 3:
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
