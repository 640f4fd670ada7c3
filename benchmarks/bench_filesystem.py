"""The filesystem provider, through ``DataManager``, against bare files and sidecar files.

    python benchmarks/bench_filesystem.py                 # 100,000 objects, 1 GiB; a few minutes
    python benchmarks/bench_filesystem.py --count 10000 --mib 128

Floor, peer and us take turns, so that a busy machine is busy for all; each number is a median. The last
column is the ratio the line is about, and its target. Exits with 1 when one is missed.
"""

# The floor is what bare calls cost, not pathlib.
# ruff: noqa: PTH105, PTH123
from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import fsspec
import orjson

from praval_storage import DataManager
from praval_storage.providers import FileSystemProvider

DATA = {"text": "x" * 280, "n": 1}
METADATA = {"kind": "k1", "owner": "alice", "n": 7, "tags": ["a", "b"]}
BODY = orjson.dumps(DATA)
KEYS = 50
FS = "filesystem"
PEAK = """
import sys
from pathlib import Path
from praval_storage import DataManager
from praval_storage.providers import FileSystemProvider

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

source, folder, target = map(Path, sys.argv[1:])
dm = DataManager({"filesystem": FileSystemProvider(folder)})
dm.store(b"warm", "filesystem", "warm.bin")
before = peak()
ref = dm.store(source, "filesystem", "large.bin")
dm.retrieve(ref, into=target)
print(peak() - before)
"""

missed: list[str] = []


def timed(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            started = perf_counter()
            work()
            times[name].append(perf_counter() - started)
    return {name: median(taken) for name, taken in times.items()}


def line(
    name: str, values: dict[str, float], unit: str, scale: float, ratio: float, target: str, good: bool
) -> None:
    shown = "  ".join(f"{key} {value * scale:,.1f}" for key, value in values.items())
    print(f"{name:<34} {shown} {unit}   {ratio:.2f} (target {target}){'' if good else '  MISSED'}")
    if not good:
        missed.append(name)


def write_bare(folder: Path, name: str, *, sync_folder: bool) -> None:
    temporary = f"{folder}/{name}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    os.write(fd, BODY)
    os.fsync(fd)
    os.close(fd)
    os.replace(temporary, f"{folder}/{name}")
    if sync_folder:
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def bench_store(root: Path) -> None:
    dm = DataManager({FS: FileSystemProvider(root / "us")})
    bare = root / "bare"
    bare.mkdir()
    turn = iter(range(1_000_000))
    works: dict[str, Callable[[], object]] = {
        "floor": lambda: write_bare(bare, f"{next(turn) % KEYS}", sync_folder=False),
        "floor+folder": lambda: write_bare(bare, f"{next(turn) % KEYS}", sync_folder=True),
        "us": lambda: dm.store(DATA, FS, f"{next(turn) % KEYS}", METADATA),
    }
    timed(works, 100)  # until the index has its usual size
    found = timed(works, 200)
    ratio = found["us"] / found["floor"]
    line("store 300 B with metadata", found, "us", 1e6, ratio, "<= 3x floor", ratio <= 3)

    def bare_batch() -> None:
        for n in range(256):
            write_bare(bare, f"{n}", sync_folder=False)

    batch = {f"{n}": DATA for n in range(256)}
    found = timed({"floor": bare_batch, "us": lambda: dm.store_many(batch, FS, metadata=METADATA)}, 5)
    ratio = found["us"] / found["floor"]
    line("store_many, 256 of them", found, "ms", 1e3, ratio, "<= 3x floor", ratio <= 3)
    dm.close()


def bench_retrieve(root: Path) -> None:
    dm = DataManager({FS: FileSystemProvider(root / "us")})
    references = [dm.store(DATA, FS, f"{n}", METADATA) for n in range(KEYS)]
    names = [f"{root}/us/{n}" for n in range(KEYS)]

    def bare() -> None:
        for name in names:
            with open(name, "rb") as file:
                orjson.loads(file.read())

    def ours() -> None:
        for reference in references:
            dm.retrieve(reference)

    found = timed({"floor": bare, "us": ours}, 101)
    ratio = found["us"] / found["floor"]
    line("retrieve 300 B", found, "us", 1e6 / KEYS, ratio, "<= 6x floor", ratio <= 6)
    dm.close()


def bench_query(root: Path, count: int) -> None:
    dm = DataManager({FS: FileSystemProvider(root / "us", durable=False)})
    sidecars = root / "sidecars"
    started = perf_counter()
    keys = [f"{n % 100:02d}/{n}.json" for n in range(count)]
    metadata = [{**METADATA, "kind": f"k{n % 100}", "n": n} for n in range(count)]
    dm.store_many([DATA] * count, FS, keys, metadata)
    print(f"{'stored (not synced)':<34} {count:,} in {perf_counter() - started:.1f} s")
    for n in range(100):
        (sidecars / f"{n:02d}").mkdir(parents=True)
    for key, one in zip(keys, metadata, strict=True):
        (sidecars / f"{key}.meta").write_bytes(orjson.dumps(one))
    local = fsspec.filesystem("file")

    def read_sidecars() -> list[str]:
        found = []
        for folder, _, names in os.walk(sidecars):
            for name in names:
                with open(f"{folder}/{name}", "rb") as file:
                    if orjson.loads(file.read())["kind"] == "k5":
                        found.append(name)
        return found

    def ask() -> None:
        assert len(dm.query(FS, {"metadata.kind": "k5"}, limit=None)) == count // 100

    works: dict[str, Callable[[], object]] = {
        "sidecars": read_sidecars,
        "fsspec.find": lambda: local.find(str(root / "us")),
        "us": ask,
    }
    found = timed(works, 5)
    ratio = found["sidecars"] / found["us"]
    line(f"query, 1 % of {count:,}", found, "ms", 1e3, ratio, ">= 10x faster", ratio >= 10)
    ratio = found["fsspec.find"] / found["us"]
    line("  against names alone", {}, "", 1, ratio, "> 1x faster", ratio > 1)
    works = {
        "fsspec.find": works["fsspec.find"],
        "all": lambda: dm.list(FS, limit=None),
        "100": lambda: dm.list(FS),
        "100 by -key": lambda: dm.list(FS, order_by="-key"),
        "prefix": lambda: dm.list(FS, "42/", limit=None),
    }
    found = timed(works, 5)
    ratio = found["all"] / found["fsspec.find"]
    line(f"list {count:,}", found, "ms", 1e3, ratio, "<= 2x find", ratio <= 2)
    dm.close()


def bench_large(root: Path, mib: int) -> None:
    source = root / "source.bin"
    with source.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
    floor = timed({"copy": lambda: shutil.copyfile(source, root / "copied.bin")}, 1)
    command = [sys.executable, "-c", PEAK, str(source), str(root / "us"), str(root / "target.bin")]
    started = perf_counter()
    extra = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    seconds = perf_counter() - started
    with source.open("rb") as one, (root / "target.bin").open("rb") as other:
        while chunk := one.read(1 << 24):
            assert chunk == other.read(1 << 24)
    values = {"copy once": floor["copy"], "us, in and out, synced": seconds}
    line(f"{mib} MiB in and out: extra MiB", values, "s", 1, extra, "< 64", extra < 64)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--mib", type=int, default=1_024)
    parser.add_argument(
        "--folder", type=Path, help="where to work; by default the directory for temporary files"
    )
    options = parser.parse_args()
    benches: list[Callable[[Path], None]] = [
        bench_store,
        bench_retrieve,
        lambda root: bench_query(root, options.count),
        lambda root: bench_large(root, options.mib),
    ]
    for bench in benches:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            bench(Path(name))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
