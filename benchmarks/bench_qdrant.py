"""The embedded Qdrant provider, through ``DataManager``, against the bare engine and qdrant-client.

    python benchmarks/bench_qdrant.py                            # 100,000 x 384, about ten minutes
    python benchmarks/bench_qdrant.py --count 10000 --peer 1000

Rows: the bare engine (floor), qdrant-client without a server (peer), this package (us), and how many times
faster than the peer we are. Floor, peer and us take turns, so that a busy machine is busy for all three.
Exits with 1 when a full run misses a target; an index cannot win much on fewer vectors.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from qdrant_client import QdrantClient, models

from praval_storage import DataManager
from praval_storage.providers import QdrantProvider

FULL = 100_000
DIMENSIONS = 384
BATCH = 1_000
LIMIT = 10
QUERIES = 40
ROUNDS = 5  # of which the peer, being slow, answers one query each

Array = np.ndarray[Any, Any]


def embeddings(count: int, seed: int) -> Array:
    """Like sentence embeddings: topics of many sizes, each a low-dimensional cloud; unit length."""
    rng = np.random.default_rng(0)
    topics, inner = 300, 24
    centres = rng.standard_normal((topics, DIMENSIONS))
    axes = rng.standard_normal((topics, inner, DIMENSIONS)) / np.sqrt(inner)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(topics, size=count, p=_sizes(topics))
    vectors = np.empty((count, DIMENSIONS), np.float32)
    for topic in range(topics):
        rows = np.flatnonzero(chosen == topic)
        cloud = rng.standard_normal((len(rows), inner)) @ axes[topic]
        vectors[rows] = centres[topic] + cloud + 0.1 * rng.standard_normal((len(rows), DIMENSIONS))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _sizes(topics: int) -> Array:
    weights = 1 / np.arange(1, topics + 1) ** 0.5
    return weights / weights.sum()


def document(number: int, vector: Any) -> dict[str, Any]:
    text = f"Some text number {number}, about as long as a sentence usually is in the abstract of a paper"
    return {"text": text, "user_id": number % 1_000, "topic": f"t{number % 100}", "vector": vector}


def payload(number: int) -> dict[str, Any]:
    made = document(number, None)
    del made["vector"]
    return {"key": f"k{number}", **made, "category": f"c{number % 10}"}


class Floor:
    """The bare engine, with nothing but the payload."""

    def __init__(self, path: Path) -> None:
        config = edge.EdgeConfig(vectors=edge.EdgeVectorParams(DIMENSIONS, edge.Distance.Cosine))
        self.shard = edge.EdgeShard.create(str(path), config)

    def insert(self, start: int, vectors: Array) -> None:
        points = [edge.Point(start + i, v.tolist(), payload(start + i)) for i, v in enumerate(vectors)]
        self.shard.update(edge.UpdateOperation.upsert_points(points))

    def index(self) -> None:
        kind = edge.PayloadSchemaType.Keyword
        self.shard.update(edge.UpdateOperation.create_field_index("topic", kind))

    def search(self, vector: Array, topic: str | None) -> list[int]:
        condition = edge.FieldCondition("topic", match=edge.MatchValue(topic)) if topic else None
        query = edge.SearchRequest(
            query=edge.Query.Nearest(vector.tolist()),
            limit=LIMIT,
            filter=edge.Filter(must=[condition]) if condition else None,
            with_payload=True,
        )
        return [int(hit.payload["key"][1:]) for hit in self.shard.search(query)]


class Peer:
    """qdrant-client without a server: a folder or memory."""

    def __init__(self, **place: Any) -> None:
        self.client = QdrantClient(**place)
        params = models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE)
        self.client.create_collection("c", vectors_config=params)

    def insert(self, start: int, vectors: Array) -> None:
        points = [
            models.PointStruct(id=str(UUID(int=start + i)), vector=v.tolist(), payload=payload(start + i))
            for i, v in enumerate(vectors)
        ]
        self.client.upsert("c", points)

    def search(self, vector: Array, topic: str | None) -> list[int]:
        condition = models.FieldCondition(key="topic", match=models.MatchValue(value=topic or ""))
        where = models.Filter(must=[condition]) if topic else None
        found = self.client.query_points("c", query=vector, query_filter=where, limit=LIMIT)
        return [int(point.payload["key"][1:]) for point in found.points if point.payload]


class Us:
    """This package."""

    def __init__(self, path: Path) -> None:
        self.provider = QdrantProvider(path=path)
        self.manager = DataManager()
        self.manager.register_provider("qdrant", self.provider)

    def insert(self, start: int, vectors: Array) -> None:
        numbers = range(start, start + len(vectors))
        self.manager.store_many(
            [document(number, vector) for number, vector in zip(numbers, vectors, strict=True)],
            "qdrant",
            keys=[f"k{number}" for number in numbers],
            metadata=[{"category": f"c{number % 10}"} for number in numbers],
        )

    def search(self, vector: Array, topic: str | None) -> list[int]:
        filters = {"topic": topic} if topic else None
        found = self.manager.search("qdrant", vector, limit=LIMIT, filters=filters)
        return [int(key[1:]) for key in found.keys]


class Report:
    """The table, and whether every target held."""

    def __init__(self) -> None:
        self.missed: list[str] = []
        print(f"{'':32}{'floor':>11}{'peer':>11}{'us':>11}{'us/peer':>10}  target")

    def rates(self, name: str, floor: float, peer: float, us: float, target: float) -> None:
        self._row(name, f"{floor:,.0f}/s", f"{peer:,.0f}/s", f"{us:,.0f}/s", us / peer, target)

    def times(self, name: str, floor: float, peer: float, us: float, target: float) -> None:
        self._row(name, *(f"{value * 1e3:,.2f} ms" for value in (floor, peer, us)), peer / us, target)

    def recall(self, name: str, value: float, target: float = 0.99) -> None:
        self._check(name, value, target)
        print(f"{name:32}{'':>22}{value:>11.4f}{'':>10}  >= {target}")

    def _row(self, name: str, floor: str, peer: str, us: str, ratio: float, target: float) -> None:
        self._check(name, ratio, target)
        print(f"{name:32}{floor:>11}{peer:>11}{us:>11}{ratio:>9.1f}x  >= {target:g}x", flush=True)

    def _check(self, name: str, value: float, target: float) -> None:
        if value < target:
            self.missed.append(name)


def batches(vectors: Array) -> Iterator[tuple[int, Array]]:
    for start in range(0, len(vectors), BATCH):
        yield start, vectors[start : start + BATCH]


def timed(work: Callable[[], Any]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def insert(report: Report, floor: Floor, peer: Peer, us: Us, vectors: Array, peer_count: int) -> None:
    spent = dict.fromkeys(("floor", "peer", "us"), 0.0)
    for start, chunk in batches(vectors):
        spent["floor"] += timed(lambda start=start, chunk=chunk: floor.insert(start, chunk))
        spent["us"] += timed(lambda start=start, chunk=chunk: us.insert(start, chunk))
        if start < peer_count:
            spent["peer"] += timed(lambda start=start, chunk=chunk: peer.insert(start, chunk))
    counts = {"floor": len(vectors), "us": len(vectors), "peer": min(peer_count, len(vectors))}
    rates = {name: counts[name] / spent[name] for name in spent}
    report.rates("insert, 1,000 a call", **rates, target=15)


def compare(
    report: Report, name: str, sides: list[Any], queries: Array, topic: str | None, target: float
) -> None:
    for side in sides:
        # The first filtered search makes the payload index; the first ones after a build read the graph in.
        for query in queries[:1] if isinstance(side, Peer) else queries[::-1]:
            side.search(query, topic)
    times: list[list[float]] = [[], [], []]
    # Sides take turns by rounds, not by queries: a flat search of one side sweeps the processor's caches, and
    # nobody's session has a competitor in between its own searches.
    for part in np.array_split(queries, ROUNDS):
        for place, side in enumerate(sides):
            for query in part[:1] if place == 1 else part:
                times[place].append(timed(lambda side=side, query=query: side.search(query, topic)))
    report.times(name, *(statistics.median(spent) for spent in times), target=target)


def recall(us: Us, vectors: Array, queries: Array) -> float:
    hits = 0
    for query in queries:
        best = set(np.argpartition(-(vectors @ query), LIMIT)[:LIMIT].tolist())
        hits += len(best & set(us.search(query, None)))
    return hits / (LIMIT * len(queries))


def run(count: int, peer_count: int, folder: Path) -> list[str]:
    vectors, queries = embeddings(count, seed=1), embeddings(QUERIES * 5, seed=2)
    floor, us = Floor(_made(folder / "floor")), Us(folder / "us")
    report = Report()
    insert(report, floor, Peer(path=str(folder / "peer")), us, vectors, peer_count)
    memory = Peer(location=":memory:")
    for start, chunk in batches(vectors):
        memory.insert(start, chunk)
    floor.index()
    sides = [floor, memory, us]
    compare(report, "search, flat", sides, queries[:QUERIES], None, target=5)
    compare(report, "filtered search, flat", sides, queries[:QUERIES], "t7", target=100)
    started = datetime.now(UTC)
    us.provider.optimize()
    print(f"{'HNSW build':32}{'':>22}{(datetime.now(UTC) - started).total_seconds():>9.1f} s")
    compare(report, "search, HNSW (floor: flat)", sides, queries[:QUERIES], None, target=50)
    compare(report, "filtered search, HNSW", sides, queries[:QUERIES], "t7", target=100)
    report.recall("recall@10 after the build", recall(us, vectors, queries))
    us.manager.close()
    return report.missed


def _made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=FULL, help="vectors")
    parser.add_argument(
        "--peer", type=int, default=10_000, help="of which the peer's folder gets only so many"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # the peer warns that it is slow
    folder = Path(tempfile.mkdtemp(prefix="bench-qdrant-"))
    try:
        missed = run(options.count, options.peer, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("all targets hold" if not missed else f"missed: {', '.join(missed)}")
    return bool(missed) and options.count >= FULL


if __name__ == "__main__":
    sys.exit(main())
