"""``get_data_manager``: one for the process, from the environment, nothing written before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from tiny_providers import Tracked

from praval_storage import (
    DataManager,
    get_data_manager,
    reset_data_manager,
)
from praval_storage.environment import from_environment


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in ("PRAVAL_STORAGE_PATH", "QDRANT_URL", "QDRANT_COLLECTION"):
        monkeypatch.delenv(name, raising=False)
    reset_data_manager()
    yield tmp_path
    reset_data_manager()


def test_the_default_manager_writes_nothing_before_it_is_used(environment: Path) -> None:
    manager = get_data_manager()
    assert get_data_manager() is manager
    assert list(manager.providers) == ["filesystem", "qdrant"]
    assert list(environment.iterdir()) == []


def test_the_default_folder_is_storage(environment: Path) -> None:
    get_data_manager().store({"user": "alice"}, "filesystem", key="user_alice.json")
    assert (environment / "storage" / "user_alice.json").is_file()


def test_the_environment_chooses_the_folder_for_both_defaults(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRAVAL_STORAGE_PATH", str(environment / "elsewhere"))
    manager = get_data_manager()
    manager.store({"n": 1}, "filesystem", "k.json")
    found = manager.store({"vector": [1.0, 0.0]}, "qdrant", "k")
    assert (environment / "elsewhere" / "k.json").is_file()
    assert manager.search("qdrant", [1.0, 0.0]).keys == [found.key]
    assert (environment / "elsewhere" / ".praval" / "qdrant").is_dir()
    assert [path.name for path in environment.iterdir()] == ["elsewhere"]
    assert manager.list("filesystem").keys == ["k.json"]


def test_resetting_closes_and_reads_the_environment_anew(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = get_data_manager()
    tracked = Tracked()
    first.register_provider("tracked", tracked)
    reset_data_manager()
    assert tracked.closed == 1
    monkeypatch.setenv("PRAVAL_STORAGE_PATH", str(environment / "second"))
    second = get_data_manager()
    assert second is not first
    assert "tracked" not in second.providers
    second.store(1, "filesystem", "k")
    assert (environment / "second" / "k").exists()
    reset_data_manager()
    reset_data_manager()


def test_all_threads_get_the_same_manager(environment: Path) -> None:
    barrier = Barrier(16)

    def get() -> DataManager:
        barrier.wait()
        return get_data_manager()

    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(get) for _ in range(16)]
    assert len({id(future.result()) for future in futures}) == 1


def test_a_managers_environment_is_a_mapping(tmp_path: Path) -> None:
    with from_environment({"PRAVAL_STORAGE_PATH": str(tmp_path)}) as manager:
        manager.store(1, "filesystem", "k")
    assert (tmp_path / "k").exists()


@pytest.mark.parametrize(
    "variables, names",
    [
        ({}, []),
        ({"POSTGRES_HOST": "db"}, ["postgresql"]),
        ({"DATABASE_URL": "postgresql://db/x"}, ["postgresql"]),
        ({"REDIS_URL": "redis://cache"}, ["redis"]),
        ({"AWS_S3_BUCKET": "b", "REDIS_HOST": "cache", "POSTGRES_HOST": ""}, ["redis", "s3"]),
        ({"S3_BUCKET_NAME": "b"}, ["s3"]),
    ],
)
def test_the_environment_names_the_servers_there_are(variables: dict[str, str], names: list[str]) -> None:
    with from_environment(variables) as manager:
        assert list(manager.providers) == ["filesystem", "qdrant", *names]
