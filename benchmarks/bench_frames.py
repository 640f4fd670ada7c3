"""Frames: 100,000 records, and a PostgreSQL table of 200,000 rows, to pandas; a frame of 1,000,000 x 10 to a
file and back.

Interleaved rounds; each line is the median time and its ratio to the first line of its block, the floor. What
``pyarrow.json`` alone takes is a floor nobody should want: it is wrong on ordinary data (see
``praval_storage/results/json_text.py``). Run with ``--quick`` for a tenth of the size.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import orjson
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.json as pj

from praval_storage import DataManager
from praval_storage.providers import FileSystemProvider
from praval_storage.records import Stored
from praval_storage.results import QueryResult
from praval_storage.sandbox import Sandbox
from praval_storage.scan import Plan
from praval_storage.serialization import decode, encode

SCALE = 10 if "--quick" in sys.argv else 1
ROUNDS = 7
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Work = Callable[[], object]


class Source:
    def load(self, stored: Stored) -> Any:
        return decode(stored.content)


def compare(title: str, works: dict[str, Work], rounds: int = ROUNDS) -> None:
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):  # the first round warms up
        for name, work in works.items():
            started = perf_counter()
            result = work()
            times[name].append(perf_counter() - started)
            del result
    medians = {name: median(taken[1:]) for name, taken in times.items()}
    floor = next(iter(medians.values()))
    print(f"\n{title}")
    for name, seconds in medians.items():
        print(f"  {name:<44} {seconds * 1e3:8.0f} ms  {seconds / floor:6.2f}")


def records(count: int) -> list[dict[str, Any]]:
    random = Random(1)
    return [
        {
            "user_id": place,
            "name": f"user {place}",
            "rate": random.random(),
            "active": place % 2 == 0,
            "city": random.choice(["Oslo", "Rome", "Kyiv"]),
            "visits": random.randint(0, 1000),
            "tag": random.choice(["a", "b", None]),
            "day": f"2026-01-{place % 28 + 1:02d}T10:00:00",
        }
        for place in range(count)
    ]


def rows_of(values: list[dict[str, Any]]) -> list[Stored]:
    rows = []
    for place, value in enumerate(values):
        content = encode(value, key=f"k{place}")
        body = content.read()
        moment = NOW + timedelta(seconds=place)
        rows.append(Stored(f"event/{place}", content.format, body, content.types, b"{}", moment, moment))
    return rows


def result(rows: list[Stored]) -> QueryResult:
    plan = Plan({}, {}, len(rows), len(rows))
    return QueryResult(rows, Source(), storage_type="bench", truncated=False, limit=None, plan=plan)


def bench_records(count: int) -> None:
    plain = records(count)
    rows = rows_of(plain)
    bodies = [row.body for row in rows if row.body is not None]
    nested = rows_of([{**row, "tags": ["a", "b"], "at": {"x": 1, "y": 2.5}} for row in plain])
    typed = rows_of([{**row, "seen": NOW} for row in plain])
    mixed = rows_of([*plain[:-1], {"user_id": "not a number"}])
    compare(
        f"{count:,} records of 8 fields",
        {
            "floor: pyarrow.json alone": lambda: pj.read_json(pa.py_buffer(b"\n".join(bodies))),
            "to_arrow": lambda: result(rows).to_arrow(),
            "to_pandas": lambda: result(rows).to_pandas(),
            "to_polars": lambda: result(rows).to_polars(),
            "to_pandas, with a list and an object": lambda: result(nested).to_pandas(),
            "to_arrow, with a list and an object": lambda: result(nested).to_arrow(),
            "to_pandas, with a datetime": lambda: result(typed).to_pandas(),
            "to_pandas, one value of another type": lambda: result(mixed).to_pandas(),
            "orjson, pd.DataFrame(list of dicts)": lambda: pd.DataFrame(list(map(orjson.loads, bodies))),
            "orjson, pd.json_normalize(list of dicts)": lambda: pd.json_normalize(
                list(map(orjson.loads, bodies))
            ),
        },
    )


def bench_table(title: str, count: int, key: str) -> None:
    """A table that somebody else made, as psycopg alone would give it, and as we do."""
    sandbox = Sandbox(services=["postgresql"])
    with sandbox as dm, psycopg.connect(sandbox.postgresql.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE plain (id int {key}, name text, x float8, at timestamptz)")
        connection.execute(
            "INSERT INTO plain SELECT i, 'name ' || i, i * 0.37, now() + i * interval '1 second'"
            f" FROM generate_series(1, {count}) AS i"
        )

        def peer() -> object:
            found = connection.execute("SELECT * FROM plain")
            names = [column.name for column in found.description or ()]
            return pd.DataFrame(found.fetchall(), columns=names)

        def query() -> QueryResult:
            return dm.query("postgresql", collection="plain", limit=None)

        works: dict[str, Work] = {"peer: psycopg, pd.DataFrame": peer, "query": query}
        compare(title, {**works, "query, to_pandas": lambda: query().to_pandas()})


def bench_whole_frame(count: int) -> None:
    numbers = np.random.default_rng(1)
    columns: dict[str, Any] = {f"x{place}": numbers.random(count) for place in range(5)}
    columns |= {f"n{place}": numbers.integers(0, 1000, count) for place in range(3)}
    columns |= {
        "city": numbers.choice(["Oslo", "Rome", "Kyiv"], count),
        "at": pd.Timestamp(0) + pd.to_timedelta(range(count), "s"),
    }
    frame = pd.DataFrame(columns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plain.parquet")
        dm = DataManager({"filesystem": FileSystemProvider(base_path=f"{folder}/storage")})
        compare(
            f"A frame of {count:,} x 10 to a file",
            {
                "floor: to_parquet (zstd), fsync, rename": lambda: write_durably(frame, path),
                'store(frame, key="x.parquet")': lambda: dm.store(frame, "filesystem", key="x.parquet"),
            },
        )
        compare(
            "and back",
            {
                "floor: read_parquet": lambda: pd.read_parquet(path),
                "retrieve": lambda: dm.retrieve_by_key("filesystem", "x.parquet"),
            },
        )


def write_durably(frame: pd.DataFrame, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        frame.to_parquet(file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


if __name__ == "__main__":
    bench_records(100_000 // SCALE)
    bench_table(f"A table of {200_000 // SCALE:,} x 4", 200_000 // SCALE, "PRIMARY KEY")
    bench_table(f"A table without a key, of {100_000 // SCALE:,} x 4", 100_000 // SCALE, "")
    bench_whole_frame(1_000_000 // SCALE)
