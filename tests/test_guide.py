"""The code of the storage guide, run as printed; only the package is called ``praval_storage`` here.

``tests/data/storage-guide.md`` is the guide. Names it leaves open (``result``, ``embedding_model``, ``now``)
are given values. The servers are real; what is substituted in the code itself are their ports, the password
of Redis, the ``...`` that stands for settings, and Qdrant's ``url=``, which becomes ``path=``.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psycopg
import pytest
import s3fs
from backends import make
from psycopg import sql

from praval_storage import (
    DataManager,
    DataReference,
    StorageError,
    get_data_manager,
    reset_data_manager,
)
from praval_storage.base import HasCollections
from praval_storage.providers import RedisProvider

GUIDE = (Path(__file__).parent / "data" / "storage-guide.md").read_text()

RUN = {
    "Basic Storage",
    "FileSystem Provider",
    "FileSystem Provider 2",
    "PostgreSQL Provider",
    "Redis Provider",
    "S3 Provider",
    "Qdrant Provider",
    "Programmatic Configuration",
    "Provider Not Available",
    "Custom Storage Providers",
    "2. Use Metadata",
    "3. Handle Failures Gracefully",
    "4. Clean Up Temporary Data",
    "5. Version Your Data",
    "Serialization Errors",
}
SIGNATURES = {
    "Storing Data",
    "Retrieving Data",
    "Retrieving Data 2",
    "Deleting Data",
    "Deleting Data 2",
    "Querying Data",
    "Searching (Vector Databases)",
}
ELSEWHERE = {
    "Storage with Agents",
    "@storage_enabled",
    "@requires_storage",
    "Multi-Provider Storage",
    "Storage with Memory Integration",
    "Transaction-like Operations",
}
"""Blocks with agents: ``tests/test_agents.py`` runs them."""


def blocks() -> dict[str, str]:
    """The Python code of the guide by heading; ``<heading> 2`` is the second block under it."""
    found: dict[str, str] = {}
    heading = ""
    for match in re.finditer(r"^#+ ([^\n]*)$|^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL):
        if match[1]:
            heading = match[1]
        elif match[2] == "python":
            name = heading if heading not in found else f"{heading} 2"
            assert name not in found
            found[name] = match[3]
    return found


BLOCKS = blocks()


class EmbeddingModel:
    """Texts with common words get similar vectors."""

    def encode(self, text: str) -> np.ndarray[Any, Any]:
        vector = np.zeros(384, np.float32)
        for word in re.findall(r"\w+", text.lower()):
            vector[sum(word.encode()) % 384] += 1
        return vector


def postgres_port(request: pytest.FixtureRequest) -> str:
    """Makes the guide's user and database; what to put in place of its port."""
    dsn = request.getfixturevalue("postgres_dsn")
    with psycopg.connect(dsn, autocommit=True) as admin:
        if not admin.execute("SELECT FROM pg_roles WHERE rolname = 'praval_user'").fetchone():
            admin.execute("CREATE ROLE praval_user LOGIN PASSWORD 'secure_password'")
            admin.execute("CREATE DATABASE praval_db OWNER praval_user")
        return f"port={admin.info.port}"


def redis_password(request: pytest.FixtureRequest) -> str:
    return f"password={urlsplit(request.getfixturevalue('redis_url')).password!r}"


def redis_port(request: pytest.FixtureRequest) -> str:
    return f"port={urlsplit(request.getfixturevalue('redis_url')).port}"


def postgres_settings(request: pytest.FixtureRequest) -> str:
    return f"PostgreSQLProvider(dsn={request.getfixturevalue('postgres_dsn')!r})"


SUBSTITUTES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    'url="http://localhost:6333"': lambda _: 'path="./vectors"',
    "port=5432": postgres_port,
    "port=6379": redis_port,
    "password=None": redis_password,
    "PostgreSQLProvider(...)": postgres_settings,
}
"""What is printed, and what runs in its place."""

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def dm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataManager]:
    """The default manager of somebody who starts in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("PRAVAL_STORAGE_PATH", "QDRANT_URL", "QDRANT_COLLECTION"):
        monkeypatch.delenv(name, raising=False)
    reset_data_manager()
    yield get_data_manager()
    reset_data_manager()


@pytest.fixture
def run(dm: DataManager, request: pytest.FixtureRequest) -> Run:
    """Run blocks one after the other in one namespace, which has ``dm`` and the names given."""

    def run_blocks(*names: str, **given: Any) -> dict[str, Any]:
        namespace: dict[str, Any] = {"dm": dm, **given}
        for name in names:
            code = re.sub(r"\bpraval\.storage\b", "praval_storage", BLOCKS[name])
            code = code.replace("from praval import", "from praval_storage import")
            for printed, real in SUBSTITUTES.items():
                if printed in code:
                    code = code.replace(printed, real(request))
            exec(compile(code, f"guide: {name}", "exec"), namespace)
        return namespace

    return run_blocks


def test_every_block_of_the_guide_is_accounted_for() -> None:
    assert not RUN & SIGNATURES
    assert not (RUN | SIGNATURES) & ELSEWHERE
    assert BLOCKS.keys() == RUN | SIGNATURES | ELSEWHERE


def test_quick_start(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = run("Basic Storage")
    printed = re.search(r"print\(user_data\)  # (.*)", BLOCKS["Basic Storage"])
    assert printed is not None
    assert ast.literal_eval(capsys.readouterr().out) == ast.literal_eval(printed[1])
    assert found["ref"] == DataReference("filesystem", "user_alice")
    assert (tmp_path / "storage" / "user_alice").is_file()


def test_filesystem_provider(run: Run, dm: DataManager, tmp_path: Path) -> None:
    found = run("FileSystem Provider")
    assert "# Data is stored at ./data/greeting.json" in BLOCKS["FileSystem Provider"]
    assert json.loads((tmp_path / "data" / "greeting.json").read_bytes()) == {"content": "Hello, World!"}
    assert dm.retrieve(found["ref"]) == {"content": "Hello, World!"}


def test_filesystem_configuration(run: Run, dm: DataManager, tmp_path: Path) -> None:
    found = run("FileSystem Provider", "FileSystem Provider 2")
    dm.register_provider("pretty", found["provider"])
    dm.store({"content": "Hello", "n": 1}, "pretty", "nice.json")
    text = (tmp_path / "storage" / "nice.json").read_text()
    assert json.loads(text) == {"content": "Hello", "n": 1}
    assert len(text.splitlines()) == 4


def test_postgresql_provider(run: Run, dm: DataManager) -> None:
    found = run("PostgreSQL Provider")
    assert found["events"] == [{"user_id": 123, "action": "login"}]
    assert found["events"].plan.pushed == {"metadata.event_type": "authentication"}
    assert dm.retrieve(found["ref"]) == {"user_id": 123, "action": "login"}
    columns = re.findall(r"^- `(\w+)`", GUIDE[GUIDE.index("**Schema**") :].partition("###")[0], re.MULTILINE)
    assert columns == ["key", "data", "metadata", "created_at"]
    settings = found["provider"].settings
    with psycopg.connect(
        host="localhost",
        port=settings.port,
        dbname="praval_db",
        user="praval_user",
        password="secure_password",
    ) as connection:
        [row] = connection.execute(
            sql.SQL("SELECT {} FROM {} WHERE key = 'event_001'").format(
                sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(settings.table)
            )
        )
    assert row[:3] == ("event_001", {"user_id": 123, "action": "login"}, found["ref"].metadata)
    assert isinstance(row[3], datetime)
    assert dm.delete(found["ref"])


def test_redis_provider(run: Run, dm: DataManager) -> None:
    found = run("Redis Provider")
    [record] = dm.query("redis", {"key": "session:abc123"}).records
    assert record.data == {"session_id": "abc123", "user": "alice"}
    assert record.expires_at is not None
    assert timedelta(minutes=59) < record.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    assert dm.delete(found["ref"])


def test_s3_provider(run: Run, dm: DataManager, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    files = s3fs.S3FileSystem(key="YOUR_KEY", secret="YOUR_SECRET", endpoint_url=s3_endpoint)
    if not files.exists("praval-data"):
        files.mkdir("praval-data")
    large = [{"n": n} for n in range(10_000)]
    found = run("S3 Provider", large_dataset=large)
    assert json.loads(files.cat_file("praval-data/datasets/training_data_v1.json")) == large
    assert dm.retrieve(found["ref"]) == large
    assert dm.delete(found["ref"])


def test_programmatic_configuration(run: Run, dm: DataManager) -> None:
    run("Programmatic Configuration")
    assert set(dm.providers) == {"filesystem", "qdrant", "postgresql", "redis"}


def test_the_solution_for_a_missing_provider(run: Run, dm: DataManager) -> None:
    found = run("Provider Not Available")
    assert dm.providers["postgresql"] is found["provider"]
    assert dm.health("postgresql")["postgresql"].status == "up"


def test_the_message_for_a_server_that_is_not_there(dm: DataManager, free_tcp_port: int) -> None:
    kind, message = "ConnectionError", "Could not connect to Redis"
    assert f"{kind}: {message}" in GUIDE
    dm.register_provider("redis", RedisProvider(host="localhost", port=free_tcp_port))
    with pytest.raises(ConnectionError, match=message) as caught:
        dm.store({"n": 1}, "redis")
    assert isinstance(caught.value, StorageError)


def test_qdrant_provider(run: Run, dm: DataManager) -> None:
    model = EmbeddingModel()
    found = run("Qdrant Provider", embedding_model=model)
    [(data, score)] = found["results"]
    assert data["text"] == "Praval is a multi-agent AI framework"
    assert np.array_equal(data["vector"], model.encode("Praval is..."))
    assert 0 <= score <= 1
    assert dm.query("qdrant", {"metadata.category": "documentation"}).references == (found["ref"],)
    with pytest.raises(StorageError, match="384"):
        dm.search("qdrant", [1.0, 2.0])


def test_qdrant_is_there_by_default_and_named_by_the_environment(
    dm: DataManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    dm.store({"vector": [1.0, 0.0], "text": "a"}, "qdrant")
    assert dm.search("qdrant", [1.0, 0.0])[0][0]["text"] == "a"
    monkeypatch.setenv("QDRANT_COLLECTION", "my_vectors")
    reset_data_manager()
    provider = get_data_manager().providers["qdrant"]
    assert isinstance(provider, HasCollections)
    assert provider.collection == "my_vectors"


def test_custom_provider(run: Run, dm: DataManager) -> None:
    opened: dict[str, Any] = {
        "Any": Any,
        "List": list,
        "config": {"a": 1},
        "data": {"n": 1},
        "results": [1, 2, 3],
    }
    run("Custom Storage Providers", **opened)
    reference = dm.store({"n": 1}, "custom", "k", {"kind": "x"})
    assert reference == DataReference("custom", "k")
    assert dm.retrieve(reference) == dm.retrieve_by_key("custom", "k") == {"n": 1}
    assert dm.exists(reference)
    assert dm.query("custom", {"kind": "x"}, 2) == [1, 2]
    assert dm.query("custom", {}).truncated is False
    assert dm.delete(reference) is True
    assert dm.store_many([1, 2], "custom").ok


def test_metadata(run: Run, dm: DataManager, request: pytest.FixtureRequest) -> None:
    dm.register_provider("postgresql", make("postgresql", request))
    found = run("2. Use Metadata", result={"answer": 42})
    for filters in (
        {"metadata.created_by": "agent_name"},
        {"metadata.tags": "verified"},
        {"metadata.version": "1.0", "metadata.category": {"$in": ["user_data"]}},
    ):
        assert dm.query("postgresql", filters).references == (found["ref"],)


def test_falling_back_to_the_filesystem(run: Run, dm: DataManager) -> None:
    found = run("3. Handle Failures Gracefully", data={"n": 1}, StorageError=StorageError)
    assert found["ref"].storage_type == "filesystem"
    assert dm.retrieve(found["ref"]) == {"n": 1}


def test_temporary_data(run: Run, dm: DataManager, request: pytest.FixtureRequest) -> None:
    dm.register_provider("redis", make("redis", request))
    run("4. Clean Up Temporary Data", temp_result={"n": 1})
    [record] = dm.query("redis").records
    assert record.expires_at is not None
    assert record.created_at is not None
    assert record.expires_at - record.created_at == timedelta(hours=1)


def test_versioning(run: Run, dm: DataManager, request: pytest.FixtureRequest) -> None:
    dm.register_provider("s3", make("s3", request))
    weights = np.arange(6, dtype=np.float32)
    found = run("5. Version Your Data", model_weights=weights, version=3, now=lambda: datetime.now(UTC))
    assert found["ref"].key == "models/v3/weights.pkl"
    assert np.array_equal(dm.retrieve(found["ref"]), weights)
    assert dm.query(
        "s3", {"metadata.version": 3, "metadata.timestamp": {"$lte": datetime.now(UTC)}}
    ).keys == ["models/v3/weights.pkl"]


def test_converting_by_hand_works_and_is_not_needed(run: Run, dm: DataManager) -> None:
    found = run("Serialization Errors", result="done")
    assert dm.retrieve(dm.store(found["data"], "filesystem")) == found["data"]
    exact = {"timestamp": datetime.now(UTC), "result": "done"}
    assert dm.retrieve(dm.store(exact, "filesystem")) == exact


def test_the_message_for_a_missing_provider(dm: DataManager) -> None:
    kind, message = "StorageError", "Provider 'postgresql' not registered"
    assert f"{kind}: {message}" in GUIDE
    with pytest.raises(StorageError) as caught:
        dm.store({"n": 1}, "postgresql")
    assert str(caught.value).startswith(message)


# -- signatures


def guide_signature(name: str) -> tuple[str, ast.arguments]:
    """The method a block shows, and its arguments: ``x = dm.store(data: Any, ...) -> Y``."""
    code = re.sub(r"^\w+ = dm\.(\w+)\(", r"def \1(", BLOCKS[name])
    [function] = ast.parse(f"{code[: code.rindex('->')]}: ...").body
    assert isinstance(function, ast.FunctionDef)
    return function.name, function.args


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_signatures_are_those_of_the_guide(name: str) -> None:
    method, shown = guide_signature(name)
    _, *ours = inspect.signature(getattr(DataManager, method)).parameters.values()
    positional = [each for each in ours if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert [each.name for each in positional] == [each.arg for each in shown.args]
    defaults = dict(zip([each.arg for each in shown.args][::-1], shown.defaults[::-1], strict=False))
    for each in positional:
        if each.name in defaults:
            assert each.default == ast.literal_eval(defaults[each.name]), each.name
    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in ours[len(positional) :])


def test_every_argument_can_be_given_by_position(dm: DataManager) -> None:
    reference = dm.store({"n": 1, "vector": [1.0, 0.0]}, "qdrant", "k", {"kind": "x"})
    assert (reference.storage_type, reference.key, reference.metadata) == ("qdrant", "k", {"kind": "x"})
    assert dm.retrieve_by_key("qdrant", "k") == dm.retrieve(reference)
    assert [data["n"] for data in dm.query("qdrant", {"metadata.kind": "x"}, 100)] == [1]
    [(data, score)] = dm.search("qdrant", [1.0, 0.0], 10, {"metadata.kind": "x"})
    assert data["n"] == 1
    assert score == pytest.approx(1.0)
    assert dm.delete(reference) is True
    assert dm.delete_by_key("qdrant", "k") is False
