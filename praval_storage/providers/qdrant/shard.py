"""The files of one embedded collection: made whole or not at all, described by the engine's own config."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from praval_storage.errors import StorageError
from praval_storage.providers.qdrant.engine import Space
from praval_storage.providers.qdrant.folder import BUILDING

CONFIG = "edge_config.json"
_NO_VECTOR = "none"

DISTANCES = {
    "cosine": edge.Distance.Cosine,
    "dot": edge.Distance.Dot,
    "euclid": edge.Distance.Euclid,
    "manhattan": edge.Distance.Manhattan,
}
SCANNED = 10_000
"""Kilobytes of vectors that are scanned although they are indexed, which is as fast and exact."""
_INDEXING = {
    # The default threshold (KB of vectors) would leave collections of a few thousand without an index.
    "optimizers": {"indexing_threshold": 1_000, "default_segment_number": 1},
    "hnsw_config": {
        "m": 16,
        "ef_construct": 128,
        "full_scan_threshold": SCANNED,
        "max_indexing_threads": 0,
    },
}


def create_shard(path: Path, space: Space | None) -> None:
    """A whole shard or none: made beside its place and moved there once it is closed."""
    beside = path.with_name(f"{BUILDING}{path.name}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    # A folder without a config may be what is left of a shard somebody else's tool began.
    if path.exists() and any(path.iterdir()):
        raise StorageError(f"{path} is not empty and holds no Qdrant collection")
    if space is None:
        config = edge.EdgeConfig(sparse_vectors={_NO_VECTOR: edge.EdgeSparseVectorParams()})
    else:
        config = edge.EdgeConfig(vectors=edge.EdgeVectorParams(space.size, DISTANCES[space.distance]))
    edge.EdgeShard.create(str(beside), config).close()
    beside.rename(path)


def optimize_shard(path: Path) -> None:
    """Build the HNSW index of a shard nobody has open; holds the interpreter lock for its whole run."""
    _configure(path)
    shard = edge.EdgeShard.load(str(path))
    shard.optimize()
    shard.close()


def spaces_of(path: Path) -> dict[str, Space]:
    """The vectors of a shard by name, in this order: its configuration has none."""
    vectors = _config(path).get("vectors") or {}
    return {
        name: Space(int(found["size"]), found["distance"].lower(), "multivector_config" in found)
        for name, found in sorted(vectors.items())
    }


def _configure(path: Path) -> None:
    """Say in the engine's own file how to index: given as a config it wants every vector described again."""
    beside = Path(path, f"{CONFIG}.new")
    beside.write_text(json.dumps(_config(path) | _INDEXING), encoding="utf-8")
    beside.replace(path / CONFIG)


def _config(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(Path(path, CONFIG).read_text(encoding="utf-8"))
    return config
