"""Where a collection is, and what its vectors are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from praval_storage.errors import ConfigurationError
from praval_storage.providers.qdrant.address import Address, parse_address
from praval_storage.providers.qdrant.engine import DISTANCES, SEARCH_EF
from praval_storage.settings import DEFAULT, Settings, check_no_url, gather, make, origin, variables

DEFAULT_PATH = "./storage/.praval/qdrant"
_BESIDE = ("PRAVAL_STORAGE_PATH", "FILESYSTEM_BASE_PATH")
"""Variables of the folder that the embedded engine has a place in."""


@dataclass(frozen=True, slots=True)
class QdrantSettings(Settings):
    """Where a collection is, and what its vectors are.

    Attributes:
        url: Server, with a login where a proxy wants one; ``None`` = embedded.
        path: Folder of the embedded engine.
        api_key: Credential of the server.
        collection: Name of the collection.
        vector_size: Dimension; taken from the first vector when ``None``.
        distance: ``"cosine"``, ``"dot"``, ``"euclid"`` or ``"manhattan"``.
        vector_name: Which of several named vectors of somebody else's collection is meant.
        timeout: Seconds a server may take to answer; connecting may take 5 of them.
        prefer_grpc: Talk gRPC to the server.
        search_ef: Candidates an HNSW search keeps at least: more find more of the nearest, and take longer.
    """

    url: str | None = field(default=None, repr=False, metadata=variables("QDRANT_URL"))
    path: str | None = field(default=None, metadata=variables("QDRANT_PATH"))
    api_key: str | None = field(default=None, repr=False, metadata=variables("QDRANT_API_KEY"))
    collection: str = field(
        default="praval_vectors", metadata=variables("QDRANT_COLLECTION", "QDRANT_COLLECTION_NAME")
    )
    vector_size: int | None = None
    distance: str = "cosine"
    vector_name: str | None = None
    timeout: float = 30.0
    prefer_grpc: bool = False
    search_ef: int = SEARCH_EF

    def __post_init__(self) -> None:
        if self.url and self.path:
            raise ConfigurationError(
                "Both url and path are given", hint="url= talks to a server, path= runs the engine in-process"
            )
        if self.distance not in DISTANCES:
            raise ConfigurationError(f"distance must be one of {', '.join(DISTANCES)}, not {self.distance!r}")
        if self.vector_size is not None and not 1 <= self.vector_size <= 65_536:
            raise ConfigurationError(f"vector_size must be between 1 and 65,536, not {self.vector_size!r}")
        if self.search_ef < 1:
            raise ConfigurationError(f"search_ef must be at least 1, not {self.search_ef!r}")
        if self.timeout <= 0:
            raise ConfigurationError(f"timeout must be a positive number of seconds, not {self.timeout!r}")
        if self.url:
            parse_address(self.url)
        check_no_url("path", self.path, "url (QDRANT_URL)")
        _check_api_key(self.api_key)
        _check_collection(self.collection)

    @property
    def address(self) -> Address | None:
        """Where the server is; ``None`` = embedded."""
        return parse_address(self.url) if self.url else None

    @property
    def place(self) -> str:
        """Server or folder, for people; never with a credential."""
        return self.address.url if self.address else self.path or DEFAULT_PATH

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may show."""
        key = (self.api_key,) if self.api_key else ()
        return (*key, *self.address.secrets) if self.address else key

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """``QDRANT_URL``, ``QDRANT_API_KEY``, ``QDRANT_COLLECTION`` (or ``_NAME``) and ``QDRANT_PATH``.

        Without a URL the embedded engine lives beside the files of the filesystem provider, unless
        ``QDRANT_PATH`` says otherwise.
        """
        found = gather(cls, environ)
        if not found.values.keys() & {"url", "path"}:
            beside = next(filter(environ.get, _BESIDE), None)
            base = environ[beside] if beside else "./storage"
            found.add("path", str(Path(base, ".praval", "qdrant")), origin(environ, beside or "") or DEFAULT)
        return make(cls, found)


def _check_api_key(key: str | None) -> None:
    """Some errors of the HTTP library quote a header they cannot send."""
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError(
            "api_key holds a blank, a line break or another character that no key has",
            hint="Strip it: keys read from files end with a line break",
        )


def _check_collection(name: str) -> None:
    if (
        not name
        or name.startswith(".")
        or len(name.encode()) > 200
        or any(c in name for c in '/\\<>:"|?*\0\x1f')
    ):
        raise ConfigurationError(f"{name!r} cannot be the name of a Qdrant collection")
