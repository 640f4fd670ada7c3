"""The first page of a place with many keys, through ``DataManager.look``, against the backend's own call.

    python benchmarks/bench_browse.py                             # 100,000 keys, 5,000 on S3; some minutes
    python benchmarks/bench_browse.py --count 10000 --only filesystem redis

Both sides take turns, so that a busy machine is busy for both; each number is a median. What has to stay
below 300 ms is what we add to the raw call. Servers are those of the sandbox: its S3 (moto) sorts all keys
for each listing, so more of them measure moto.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import boto3
import psycopg
import redis

from praval_storage import DataManager, Look
from praval_storage.base import CanBrowse
from praval_storage.providers import FileSystemProvider, QdrantProvider
from praval_storage.sandbox import Sandbox

PAGE = 25
LIMIT_MS = 300
Works = dict[str, Callable[[], object]]

missed: list[str] = []


def timed(works: Works, rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()  # connections, caches
    for _ in range(rounds):
        for name, work in works.items():
            started = perf_counter()
            work()
            times[name].append((perf_counter() - started) * 1e3)
    return times


def report(name: str, count: int, works: Works, rounds: int) -> None:
    times = timed(works, rounds)
    raw = median(times["raw"])
    for way, taken in times.items():
        if way == "raw":
            continue
        ours = median(taken)
        added = ours - raw
        good = added <= LIMIT_MS
        if not good:
            missed.append(f"{name} {way}")
        spread = f"{min(taken):.1f}-{max(taken):.1f}"
        print(
            f"{name:11} {count:>8,} keys  {way:13} raw {raw:8.1f} ms  ours {ours:8.1f} ms ({spread})"
            f"  x{ours / raw:6.1f}  +{added:7.1f} ms  {'ok' if good else 'MISSED'}"
        )


def looking(dm: DataManager, name: str, path: str, **options: Any) -> Callable[[], object]:
    def work() -> object:
        seen = dm.look(name, Look(path, limit=PAGE, **options))
        assert len(seen.rows) == PAGE, seen
        return seen

    return work


def filesystem(count: int, rounds: int, folder: Path, _: Sandbox) -> None:
    big = folder / "files" / "big"
    big.mkdir(parents=True)
    for number in range(count):
        (big / f"point-{number}").touch()

    def raw() -> object:
        with os.scandir(big) as entries:
            names = sorted(entry.name for entry in entries)
        return [(big / name).stat() for name in names[:PAGE]]

    with DataManager({"files": FileSystemProvider(folder / "files")}) as dm:
        works: Works = {"raw": raw, "page": looking(dm, "files", "big/")}
        report("filesystem", count, works, rounds)


def s3(count: int, rounds: int, _: Path, sandbox: Sandbox) -> None:
    dm = sandbox.manager
    provider = dm.providers["s3"]
    settings: Any = provider.settings  # type: ignore[attr-defined]
    client = boto3.client(
        "s3",
        endpoint_url=settings.endpoint_url,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        region_name="us-east-1",
    )
    dm.store(1, "s3", "big/first")  # makes the bucket
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda n: client.put_object(Bucket=settings.bucket, Key=f"big/point-{n}", Body=b"1"),
                range(count),
            )
        )

    def raw() -> object:
        return client.list_objects_v2(Bucket=settings.bucket, Prefix="big/", Delimiter="/", MaxKeys=PAGE)

    path = f"{settings.bucket}/big/"
    works: Works = {
        "raw": raw,
        "page": looking(dm, "s3", path),
        "listing alone": looking(dm, "s3", path, metadata=False),
    }
    report("s3", count, works, rounds)


def postgresql(count: int, rounds: int, _: Path, sandbox: Sandbox) -> None:
    dm = sandbox.manager
    dm.store({"n": 0}, "postgresql", "first")
    with psycopg.connect(sandbox.postgresql.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO praval_storage (key, data) SELECT 'k' || n, jsonb_build_object('n', n)"
            f" FROM generate_series(1, {count}) n"
        )
        connection.execute("ANALYZE praval_storage")
        page = "SELECT key, format, size, created_at, updated_at FROM praval_storage ORDER BY key LIMIT 26"

        def raw() -> object:
            return connection.execute(page).fetchall()

        provider = dm.providers["postgresql"]
        assert isinstance(provider, CanBrowse)
        works: Works = {"raw": raw, "page": looking(dm, "postgresql", provider.home())}
        report("postgresql", count, works, rounds)


def redis_(count: int, rounds: int, _: Path, sandbox: Sandbox) -> None:
    with redis.Redis.from_url(sandbox.redis.url) as client:
        for start in range(0, count, 10_000):
            client.mset({f"big:{n}": n for n in range(start, min(start + 10_000, count))})

        def raw() -> object:
            _, names = client.scan(0, match="big:*", count=500)
            return client.mget(names[:PAGE])

        report("redis", count, {"raw": raw, "page": looking(sandbox.manager, "redis", "big:")}, rounds)


def qdrant(count: int, rounds: int, folder: Path, _: Sandbox) -> None:
    provider = QdrantProvider(path=folder / "qdrant")
    with DataManager({"qdrant": provider}) as dm:
        for start in range(0, count, 10_000):
            dm.store_many([{"n": n} for n in range(start, min(start + 10_000, count))], "qdrant")
        engine = provider._engine
        selector: Any = sys.modules["praval_storage.providers.qdrant.payload"].ENTRY

        def raw() -> object:
            return engine.scroll(None, None, PAGE + 1, selector)

        works: Works = {"raw": raw, "page": looking(dm, "qdrant", provider.home())}
        report("qdrant", count, works, rounds)


BACKENDS: dict[str, Callable[[int, int, Path, Sandbox], None]] = {
    "filesystem": filesystem,
    "s3": s3,
    "postgresql": postgresql,
    "redis": redis_,
    "qdrant": qdrant,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--s3-count", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="*", choices=[*BACKENDS], default=[*BACKENDS])
    given = parser.parse_args()
    sandbox = Sandbox().start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in given.only:
                count = min(given.count, given.s3_count) if name == "s3" else given.count
                BACKENDS[name](count, given.rounds, Path(folder), sandbox)
    finally:
        sandbox.close()
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
