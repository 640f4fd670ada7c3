"""Where a collection is, and what its vectors are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from praval_storage.errors import ConfigurationError
from praval_storage.providers.qdrant.engine import DISTANCES, SEARCH_EF

DEFAULT_PATH = "./storage/.praval/qdrant"


@dataclass(frozen=True, slots=True)
class QdrantSettings:
    """Where a collection is, and what its vectors are.

    Attributes:
        url: Server; ``None`` = embedded.
        path: Folder of the embedded engine.
        api_key: Credential of the server.
        collection: Name of the collection.
        vector_size: Dimension; taken from the first vector when ``None``.
        distance: ``"cosine"``, ``"dot"``, ``"euclid"`` or ``"manhattan"``.
        vector_name: Which of several named vectors of somebody else's collection is meant.
        timeout: Seconds a server may take to answer.
        prefer_grpc: Talk gRPC to the server.
        search_ef: Candidates an HNSW search keeps at least: more find more of the nearest, and take longer.
    """

    url: str | None = None
    path: str | None = None
    api_key: str | None = field(default=None, repr=False)
    collection: str = "praval_vectors"
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
        _check_collection(self.collection)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """``QDRANT_URL``, ``QDRANT_API_KEY``, ``QDRANT_COLLECTION`` and ``QDRANT_PATH``.

        Without a URL the embedded engine lives beside the files of the filesystem provider, unless
        ``QDRANT_PATH`` says otherwise.
        """
        base = environ.get("PRAVAL_STORAGE_PATH") or environ.get("FILESYSTEM_BASE_PATH") or "./storage"
        url = environ.get("QDRANT_URL") or None
        path = environ.get("QDRANT_PATH") or (None if url else str(Path(base, ".praval", "qdrant")))
        name = environ.get("QDRANT_COLLECTION") or environ.get("QDRANT_COLLECTION_NAME") or "praval_vectors"
        return cls(url, path, environ.get("QDRANT_API_KEY") or None, name)


def _check_collection(name: str) -> None:
    if (
        not name
        or name.startswith(".")
        or len(name.encode()) > 200
        or any(c in name for c in '/\\<>:"|?*\0\x1f')
    ):
        raise ConfigurationError(f"{name!r} cannot be the name of a Qdrant collection")
