"""Which variable sets what, what goes before what, ``.env`` files, and what is said of wrong values."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from conftest import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from praval_storage import (
    ConfigurationError,
    DataManager,
    StorageError,
    get_data_manager,
    reset_data_manager,
)
from praval_storage.environment import from_environment
from praval_storage.providers import FileSystemProvider, PostgreSQLProvider, RedisProvider
from praval_storage.providers.postgresql import PostgreSQLSettings
from praval_storage.providers.redis import RedisSettings
from praval_storage.registry import provider_class
from praval_storage.settings import DEFAULT, Environment, Settings, described

SECRET = "pl4nted-s3cret"
BUCKET = {"AWS_S3_BUCKET": "bucket"}
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}


class Row(NamedTuple):
    """One variable: the provider and setting it is for, a text, what comes of it, and what else is needed."""

    variable: str
    provider: str
    setting: str
    text: str
    value: Any
    beside: Mapping[str, str] = {}


TABLE = [
    Row("PRAVAL_STORAGE_PATH", "filesystem", "base_path", "/data", "/data"),
    Row("FILESYSTEM_BASE_PATH", "filesystem", "base_path", "/data", "/data"),
    Row("POSTGRES_HOST", "postgresql", "host", "db", "db"),
    Row("POSTGRES_PORT", "postgresql", "port", "5433", 5433),
    Row("POSTGRES_DB", "postgresql", "database", "shop", "shop"),
    Row("POSTGRES_USER", "postgresql", "user", "alice", "alice"),
    Row("POSTGRES_PASSWORD", "postgresql", "password", SECRET, SECRET),
    Row("POSTGRES_SSLMODE", "postgresql", "sslmode", "require", "require"),
    Row("DATABASE_URL", "postgresql", "dsn", "postgresql://u@db/shop", "postgresql://u@db/shop"),
    Row("REDIS_HOST", "redis", "host", "cache", "cache"),
    Row("REDIS_PORT", "redis", "port", "7000", 7000),
    Row("REDIS_DB", "redis", "db", "3", 3),
    Row("REDIS_PASSWORD", "redis", "password", SECRET, SECRET),
    Row("REDIS_USERNAME", "redis", "username", "alice", "alice"),
    Row("REDIS_SSL", "redis", "ssl", "yes", True),
    Row("REDIS_PREFIX", "redis", "prefix", "app:", "app:"),
    Row("REDIS_URL", "redis", "url", "redis://cache:7000/3", "redis://cache:7000/3"),
    Row("AWS_S3_BUCKET", "s3", "bucket", "data", "data"),
    Row("S3_BUCKET_NAME", "s3", "bucket", "data", "data"),
    Row("AWS_ACCESS_KEY_ID", "s3", "access_key_id", "id", "id", BUCKET | KEYS),
    Row("AWS_SECRET_ACCESS_KEY", "s3", "secret_access_key", SECRET, SECRET, BUCKET | KEYS),
    Row("AWS_SESSION_TOKEN", "s3", "session_token", SECRET, SECRET, BUCKET | KEYS),
    Row("AWS_REGION", "s3", "region", "eu-central-1", "eu-central-1", BUCKET),
    Row("AWS_DEFAULT_REGION", "s3", "region", "eu-central-1", "eu-central-1", BUCKET),
    Row("S3_ENDPOINT_URL", "s3", "endpoint_url", "http://h:9000", "http://h:9000", BUCKET),
    Row("AWS_ENDPOINT_URL_S3", "s3", "endpoint_url", "http://h:9000", "http://h:9000", BUCKET),
    Row("AWS_ENDPOINT_URL", "s3", "endpoint_url", "http://h:9000", "http://h:9000", BUCKET),
    Row("QDRANT_URL", "qdrant", "url", "http://h:6333", "http://h:6333"),
    Row("QDRANT_PATH", "qdrant", "path", "/vectors", "/vectors"),
    Row("PRAVAL_STORAGE_PATH", "qdrant", "path", "/data", "/data/.praval/qdrant"),
    Row("FILESYSTEM_BASE_PATH", "qdrant", "path", "/data", "/data/.praval/qdrant"),
    Row("QDRANT_API_KEY", "qdrant", "api_key", SECRET, SECRET),
    Row("QDRANT_COLLECTION", "qdrant", "collection", "docs", "docs"),
    Row("QDRANT_COLLECTION_NAME", "qdrant", "collection", "docs", "docs"),
    Row("FSSPEC_URL", "fsspec", "url", "memory://x", "memory://x"),
]
ROWS = pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.variable}-{row.provider}")


def provider(name: str, environ: Mapping[str, str]) -> Any:
    return provider_class(name).from_env(environ)


def found(name: str, environ: Mapping[str, str]) -> Any:
    return provider(name, environ).settings


def sources(chosen: Settings) -> dict[str, str]:
    return {setting.name: setting.source for setting in described(chosen)}


@ROWS
def test_a_variable_sets_its_setting_and_is_named_as_its_source(row: Row) -> None:
    chosen = found(row.provider, {**row.beside, row.variable: row.text})
    assert getattr(chosen, row.setting) == row.value
    assert type(getattr(chosen, row.setting)) is type(row.value)
    assert sources(chosen)[row.setting] == row.variable
    assert SECRET not in repr(chosen) + repr(described(chosen))


@ROWS
def test_an_empty_variable_is_as_good_as_none(row: Row) -> None:
    required = {"s3": BUCKET, "fsspec": {"FSSPEC_URL": "memory://y"}}.get(row.provider, {})
    beside = {} if row.variable in KEYS else row.beside
    assert found(row.provider, {**required, **beside, row.variable: ""} | required) == found(
        row.provider, {**beside, **required}
    )


def test_every_variable_of_every_provider_is_in_the_table() -> None:
    declared = {
        (variable, name, each.name)
        for name in ("filesystem", "postgresql", "redis", "s3", "qdrant", "fsspec")
        for each in fields(found(name, {**BUCKET, "FSSPEC_URL": "memory://x"}))
        for variable in each.metadata.get("variables", ())
    }
    beside = {("PRAVAL_STORAGE_PATH", "qdrant", "path"), ("FILESYSTEM_BASE_PATH", "qdrant", "path")}
    assert {row[:3] for row in TABLE} == declared | beside


GUIDE = {
    *("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"),
    *("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "QDRANT_URL", "QDRANT_COLLECTION"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_S3_BUCKET", "AWS_REGION"),
}


def test_the_variables_of_the_guide_and_of_praval_are_in_the_table() -> None:
    assert len(praval_variables()) > 10
    assert GUIDE | praval_variables() <= {row.variable for row in TABLE}


def praval_variables() -> set[str]:
    """What the praval package's own storage decorator reads."""
    from praval.storage import decorators

    return set(
        re.findall(r'"((?:POSTGRES|REDIS|S3|AWS|FILESYSTEM|QDRANT)_[A-Z_]+)"', inspect.getsource(decorators))
    )


# -- what goes before what


@pytest.mark.parametrize(
    "name, setting, order, value",
    [
        ("filesystem", "base_path", ("PRAVAL_STORAGE_PATH", "FILESYSTEM_BASE_PATH"), "/{}"),
        ("s3", "bucket", ("AWS_S3_BUCKET", "S3_BUCKET_NAME"), "bucket-{}"),
        ("s3", "region", ("AWS_REGION", "AWS_DEFAULT_REGION"), "r{}"),
        (
            "s3",
            "endpoint_url",
            ("S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
            "http://h{}",
        ),
        ("qdrant", "collection", ("QDRANT_COLLECTION", "QDRANT_COLLECTION_NAME"), "c{}"),
    ],
)
def test_the_more_specific_name_goes_first(
    name: str, setting: str, order: tuple[str, ...], value: str
) -> None:
    environ = {variable: value.format(place) for place, variable in enumerate(order)}
    for place, variable in enumerate(order):
        chosen = found(name, BUCKET | environ if setting != "bucket" else environ)
        assert (getattr(chosen, setting), sources(chosen)[setting]) == (value.format(place), variable)
        del environ[variable]


def test_single_variables_go_before_a_url_of_the_same_host() -> None:
    environ = {
        "DATABASE_URL": f"postgresql://u:{SECRET}@db:6/shop?application_name=x",
        "POSTGRES_DB": "other",
    }
    chosen = PostgreSQLSettings.from_env({**environ, "POSTGRES_HOST": "db", "POSTGRES_PASSWORD": "p4ss"})
    options = {"host": "db", "port": "6", "dbname": "other", "user": "u", "password": "p4ss"}
    assert options.items() <= chosen.options().items()
    assert chosen.options()["application_name"] == "x"
    assert (chosen.host, chosen.port, chosen.database, chosen.user) == ("db", 6, "other", "u")
    assert sources(chosen)["database"] == "POSTGRES_DB"
    assert sources(chosen)["user"] == "DATABASE_URL"

    chosen = RedisSettings.from_env(
        {"REDIS_URL": f"redis://u:{SECRET}@cache:7/2?socket_timeout=3", "REDIS_DB": "4", "REDIS_SSL": "on"}
    )
    assert chosen.url == f"rediss://u:{SECRET}@cache:7/?socket_timeout=3&db=4"
    assert (chosen.host, chosen.port, chosen.db, chosen.username) == ("cache", 7, 4, "u")
    assert (sources(chosen)["db"], sources(chosen)["host"]) == ("REDIS_DB", "REDIS_URL")
    assert set(chosen.secrets()) >= {SECRET}


def test_the_credentials_of_a_url_are_not_sent_to_another_host() -> None:
    url = {"DATABASE_URL": f"postgresql://u:{SECRET}@db/shop", "REDIS_URL": f"redis://:{SECRET}@cache/2"}
    chosen = PostgreSQLSettings.from_env({**url, "POSTGRES_HOST": "elsewhere"})
    assert chosen == PostgreSQLSettings("elsewhere")
    assert sources(chosen)["dsn"] == "DATABASE_URL, not used: POSTGRES_HOST names another server"
    chosen = RedisSettings.from_env({**url, "REDIS_HOST": "elsewhere"})
    assert chosen == RedisSettings("elsewhere")
    assert "not used" in sources(chosen)["url"]


@pytest.mark.parametrize(
    "url, expected",
    [
        ("unix:///run/redis.sock?db=2", "unix://:n3w@/run/redis.sock?db=2"),
        ("unix://u:old@/run/redis.sock", "unix://u:n3w@/run/redis.sock"),
        ("redis://[::1]:7/1", "redis://:n3w@[::1]:7/?db=1"),
        ("redis://h", "redis://:n3w@h:6379/"),
    ],
)
def test_a_password_beside_a_redis_url_of_any_shape(url: str, expected: str) -> None:
    chosen = RedisSettings.from_env({"REDIS_URL": url, "REDIS_PASSWORD": "n3w"})
    assert chosen.url == expected


@settings(max_examples=cases(200))
@given(
    user=st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
    password=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
    db=st.integers(0, 99),
)
def test_any_password_survives_being_joined_with_a_url(user: str | None, password: str, db: int) -> None:
    environ = {"REDIS_URL": "redis://h:7/1", "REDIS_PASSWORD": password, "REDIS_DB": str(db)}
    chosen = RedisSettings.from_env(environ | ({"REDIS_USERNAME": user} if user else {}))
    options = redis.ConnectionPool.from_url(chosen.url or "").connection_kwargs
    assert (options.get("username"), options["password"], options["db"]) == (user, password, db)
    chosen_pg = PostgreSQLSettings.from_env(
        {"DATABASE_URL": "postgresql://h/d", "POSTGRES_PASSWORD": password}
    )
    assert chosen_pg.options()["password"] == password


@pytest.mark.parametrize("load_env", [None, 7, "~nobody-of-this-name/.env"])
def test_what_is_no_file_is_refused(load_env: Any) -> None:
    with pytest.raises(ConfigurationError, match="load_env must be True, False or the path"):
        get_data_manager(load_env=load_env)


def test_what_kubernetes_sets_does_not_spoil_a_url() -> None:
    link = "tcp://10.0.0.1:1"
    cache = RedisSettings.from_env({"REDIS_URL": "redis://h:7/0", "REDIS_PORT": link})
    database = PostgreSQLSettings.from_env({"DATABASE_URL": "postgresql://h:7/d", "POSTGRES_PORT": link})
    assert (cache.port, database.port) == (7, 7)


@pytest.mark.parametrize(
    "url", ["postgres://h/d", "postgresql://h/d", "postgresql+psycopg://h/d", "host=h dbname=d"]
)
def test_the_spellings_of_a_database_url(url: str) -> None:
    with from_environment({"DATABASE_URL": url}) as manager:
        assert manager.providers["postgresql"].settings.place == "h:5432/d"  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["mysql://u:p@h/d", "sqlite:///db.sqlite3"])
def test_a_database_url_of_another_database_is_not_ours(url: str) -> None:
    with from_environment({"DATABASE_URL": url}) as manager:
        assert "postgresql" not in manager.providers


@pytest.mark.parametrize("url", ["mysql://u:p@h/d", "sqlite:///db.sqlite3"])
def test_a_database_url_of_another_database_does_not_disturb_ours(url: str) -> None:
    chosen = PostgreSQLSettings.from_env({"DATABASE_URL": url, "POSTGRES_HOST": "db"})
    assert chosen == PostgreSQLSettings("db")
    assert sources(chosen)["dsn"] == "DATABASE_URL, not used"


def test_an_argument_goes_before_every_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for row in TABLE:
        monkeypatch.setenv(row.variable, row.text)
    assert RedisProvider("mine").settings == RedisSettings("mine")
    assert PostgreSQLProvider("mine").settings == PostgreSQLSettings("mine")
    assert FileSystemProvider(tmp_path).base_path == tmp_path
    assert sources(RedisProvider("mine").settings)["host"] == "argument"
    with from_environment(dict(os.environ)) as manager:
        manager.register_provider("redis", RedisProvider("mine"))
        assert manager.providers["redis"].settings.host == "mine"  # type: ignore[attr-defined]


def test_what_nobody_set_is_the_default() -> None:
    for name in ("filesystem", "postgresql", "redis", "qdrant"):
        assert set(sources(found(name, {})).values()) == {DEFAULT}, name


# -- values that are wrong

WRONG = [
    ("redis", {"REDIS_PORT": "abc"}, "REDIS_PORT", "abc"),
    ("redis", {"REDIS_PORT": "0"}, "REDIS_PORT", "65535"),
    ("redis", {"REDIS_PORT": "70000", "REDIS_DB": "1", "REDIS_HOST": "h"}, "REDIS_PORT", "70000"),
    ("redis", {"REDIS_HOST": f"u:{SECRET}@h"}, "REDIS_HOST", "REDIS_URL"),
    ("redis", {"REDIS_HOST": f"redis://:{SECRET}@h"}, "REDIS_HOST", "REDIS_URL"),
    ("redis", {"REDIS_PORT": f"redis://:{SECRET}@h"}, "REDIS_PORT", "number"),
    ("redis", {"REDIS_DB": "-1", "REDIS_PORT": "7"}, "REDIS_DB", "-1"),
    ("redis", {"REDIS_SSL": "maybe"}, "REDIS_SSL", "yes or no"),
    ("redis", {"REDIS_URL": "http://cache", "REDIS_DB": "1"}, "REDIS_URL", "redis://"),
    ("redis", {"REDIS_URL": "redis://cache", "REDIS_DB": "-1"}, "REDIS_DB", "-1"),
    ("redis", {"REDIS_URL": f"redis://:{SECRET}/x@cache:1/0"}, "REDIS_URL", "quote"),
    ("postgresql", {"POSTGRES_HOST": "h", "POSTGRES_PORT": "abc"}, "POSTGRES_PORT", "abc"),
    ("postgresql", {"POSTGRES_HOST": "h", "POSTGRES_PORT": "0"}, "POSTGRES_PORT", "65535"),
    ("postgresql", {"POSTGRES_HOST": "h", "POSTGRES_SSLMODE": "on"}, "POSTGRES_SSLMODE", "verify-full"),
    ("postgresql", {"POSTGRES_HOST": f"u:{SECRET}@h"}, "POSTGRES_HOST", "DATABASE_URL"),
    ("postgresql", {"POSTGRES_DB": f"postgresql://u:{SECRET}@h/d"}, "POSTGRES_DB", "DATABASE_URL"),
    ("postgresql", {"DATABASE_URL": f"postgresql://u:x@{SECRET}@h/d"}, "DATABASE_URL", "percent-encoded"),
    ("postgresql", {"DATABASE_URL": f"postgresql://u:{SECRET}@[/d"}, "DATABASE_URL", "percent-encoded"),
    ("postgresql", {"DATABASE_URL": "postgresql://h/d", "POSTGRES_PORT": "0"}, "POSTGRES_PORT", "65535"),
    ("s3", {"AWS_S3_BUCKET": "s3://bucket"}, "AWS_S3_BUCKET", "name alone"),
    ("s3", {"AWS_S3_BUCKET": "bucket", "AWS_ACCESS_KEY_ID": SECRET}, "AWS_ACCESS_KEY_ID", "missing"),
    ("s3", {"S3_BUCKET_NAME": "bucket", "AWS_ENDPOINT_URL": "minio"}, "AWS_ENDPOINT_URL", "http://"),
    (
        "s3",
        {"S3_BUCKET_NAME": "bucket", "AWS_ENDPOINT_URL": f"http://u:{SECRET}@h"},
        "AWS_ENDPOINT_URL",
        "holds",
    ),
    ("qdrant", {"QDRANT_URL": f"ftp://u:{SECRET}@h"}, "QDRANT_URL", "http://"),
    ("qdrant", {"QDRANT_URL": "http://h", "QDRANT_API_KEY": f"{SECRET}\n"}, "QDRANT_API_KEY", "Strip"),
    ("qdrant", {"QDRANT_PATH": f"http://u:{SECRET}@h"}, "QDRANT_PATH", "QDRANT_URL"),
    ("qdrant", {"QDRANT_COLLECTION": "a/b"}, "QDRANT_COLLECTION", "a/b"),
    ("qdrant", {"QDRANT_URL": "http://h", "QDRANT_PATH": "/v"}, "QDRANT_URL and QDRANT_PATH", "Both"),
    ("filesystem", {"PRAVAL_STORAGE_PATH": "/dev/null"}, "PRAVAL_STORAGE_PATH", "directory"),
]


@pytest.mark.parametrize("name, environ, variable, words", WRONG, ids=lambda given: str(given)[:40])
def test_a_wrong_value_is_named_when_its_provider_is_used_and_harms_no_other(
    name: str, environ: dict[str, str], variable: str, words: str, tmp_path: Path
) -> None:
    names_it = {"redis": {"REDIS_HOST": "h"}, "s3": BUCKET, "postgresql": {"POSTGRES_DB": "d"}}.get(name, {})
    if "REDIS_URL" in environ or "S3_BUCKET_NAME" in environ:
        names_it = {}
    others = {"PRAVAL_STORAGE_PATH": str(tmp_path)} | names_it | environ
    with from_environment(others) as manager:
        with pytest.raises(ConfigurationError) as caught:
            manager.list(name)
        text = str(caught.value)
        assert variable in text
        assert words in text
        assert caught.value.hint
        assert SECRET not in text + repr(caught.value)
        assert SECRET not in repr(manager) + str(manager.doctor(timeout=5)) + str(manager.health())
        unnamed = {key for key in environ if key not in variable} - {"PRAVAL_STORAGE_PATH"}
        assert [key for key in unnamed if f"{key}:" in text] == []
        other = "qdrant" if name == "filesystem" else "filesystem"
        if name != "filesystem":
            manager.store(1, other, "k")
            assert manager.retrieve_by_key(other, "k") == 1


def test_an_unreachable_server_costs_nothing_until_it_is_used() -> None:
    story = """
import sys, socket, time
def refuse(*_): raise AssertionError("connected")
socket.socket.connect = refuse
from praval_storage import get_data_manager
started = time.perf_counter()
dm = get_data_manager()
assert {"postgresql", "redis", "s3"} <= set(dm.providers), list(dm.providers)
repr(dm), dm._repr_html_()
print(*sorted({"psycopg", "redis", "s3fs", "qdrant_client", "qdrant_edge", "numpy"} & sys.modules.keys()))
"""
    named = {"POSTGRES_HOST": "10.255.255.1", "REDIS_HOST": "10.255.255.1", **BUCKET}
    done = subprocess.run(
        [sys.executable, "-c", story], env=os.environ | named, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


# -- .env files


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the process's own, with no variable of ours set."""
    monkeypatch.chdir(tmp_path)
    for row in TABLE:
        monkeypatch.delenv(row.variable, raising=False)
    reset_data_manager()
    yield tmp_path
    reset_data_manager()


def redis_settings(manager: DataManager) -> Any:
    return manager.providers["redis"].settings  # type: ignore[attr-defined]


def test_a_file_is_read_only_when_asked(process: Path) -> None:
    (process / ".env").write_text("REDIS_HOST=from-file\n")
    assert "redis" not in get_data_manager().providers
    reset_data_manager()
    assert redis_settings(get_data_manager(load_env=True)).host == "from-file"
    assert "REDIS_HOST" not in os.environ


def test_true_finds_the_file_upward_from_the_working_directory(
    process: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (process / ".env").write_text("REDIS_HOST=upward\n")
    below = process / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    manager = get_data_manager(load_env=True)
    assert redis_settings(manager).host == "upward"
    assert sources(redis_settings(manager))["host"] == f"REDIS_HOST in {process / '.env'}"


def test_true_without_a_file_is_the_environment_alone(process: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("praval_storage.environment.find_dotenv", lambda **_: "")  # none above it either
    assert "redis" not in get_data_manager(load_env=True).providers


def test_the_environment_goes_before_the_file(process: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (process / "my.env").write_text("export REDIS_HOST='from file'\nREDIS_DB=3\nREDIS_PREFIX=x:\nNOTHING\n")
    monkeypatch.setenv("REDIS_HOST", "from environment")
    monkeypatch.setenv("REDIS_PREFIX", "")
    chosen = redis_settings(get_data_manager(load_env="my.env"))
    assert (chosen.host, chosen.db, chosen.prefix) == ("from environment", 3, "")
    assert sources(chosen)["host"] == "REDIS_HOST"
    assert sources(chosen)["db"].endswith("my.env")


def test_a_provider_that_is_registered_by_its_name_reads_the_file_too(
    process: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (process / "my.env").write_text("REDIS_PORT=7777\nREDIS_DB=3\n")
    manager = get_data_manager(load_env="my.env")
    assert "redis" not in manager.providers
    monkeypatch.setenv("REDIS_HOST", "set later")
    monkeypatch.setenv("REDIS_DB", "4")
    manager.register_provider("redis")
    chosen = redis_settings(manager)
    assert (chosen.host, chosen.port, chosen.db) == ("set later", 7777, 4)


@pytest.mark.parametrize("how", ["missing", "folder", "encoding"])
def test_a_named_file_that_cannot_be_read_is_an_error(process: Path, how: str) -> None:
    path = process / "my.env"
    if how == "folder":
        path.mkdir()
    elif how == "encoding":
        path.write_bytes(f"REDIS_PASSWORD={SECRET}\nREDIS_USERNAME=".encode() + b"\xe4\n")
    with pytest.raises(ConfigurationError, match=r"my\.env") as caught:
        get_data_manager(load_env=path)
    assert caught.value.hint
    assert SECRET not in str(caught.value)
    assert "redis" not in get_data_manager().providers  # nothing has stayed behind


def test_a_file_with_a_byte_order_mark_is_read(process: Path) -> None:
    (process / ".env").write_text("REDIS_HOST=h\n", encoding="utf-8-sig")
    assert redis_settings(get_data_manager(load_env=True)).host == "h"


def test_a_wrong_value_of_a_file_names_the_file(process: Path) -> None:
    (process / ".env").write_text("REDIS_HOST=h\nREDIS_PORT=abc\n")
    manager = get_data_manager(load_env=True)
    with pytest.raises(
        ConfigurationError, match=rf"REDIS_PORT in {process}/\.env must be a number, not 'abc'"
    ):
        manager.list("redis")


def test_running_the_cell_again_gives_the_same_manager(process: Path) -> None:
    (process / ".env").write_text("REDIS_HOST=h\n")
    manager = get_data_manager(load_env=True)
    assert get_data_manager(load_env=True) is manager
    assert get_data_manager(load_env=".env") is manager
    assert get_data_manager() is manager


def test_a_file_that_comes_too_late_is_an_error(process: Path) -> None:
    (process / ".env").write_text("REDIS_HOST=h\n")
    get_data_manager()
    with pytest.raises(ConfigurationError, match=r"without a \.env file.*reset_data_manager"):
        get_data_manager(load_env=True)
    reset_data_manager()
    get_data_manager(load_env=True)
    (process / "other.env").write_text("")
    with pytest.raises(ConfigurationError, match=r"from .*\.env.*reset_data_manager"):
        get_data_manager(load_env="other.env")


def test_an_environment_shows_no_value() -> None:
    environ = Environment({"REDIS_PASSWORD": SECRET}, Path("x.env"), {"POSTGRES_PASSWORD": SECRET})
    assert SECRET not in repr(environ) + repr(from_environment(environ).providers._factories)
    assert dict(environ) == {"POSTGRES_PASSWORD": SECRET, "REDIS_PASSWORD": SECRET}


def test_home_is_understood_for_both_defaults(process: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(process))
    with from_environment({"PRAVAL_STORAGE_PATH": "~/data"}) as manager:
        manager.store(1, "filesystem", "k")
        manager.store({"vector": [1.0]}, "qdrant", "k")
    assert sorted(str(path.relative_to(process)) for path in process.rglob("qdrant")) == [
        "data/.praval/qdrant"
    ]


def test_an_authentication_failure_of_the_environment_names_no_secret(
    process: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme, _, rest = redis_url.partition("://")
    monkeypatch.setenv("REDIS_URL", f"{scheme}://u:{SECRET}@{rest.rpartition('@')[2]}")
    with pytest.raises(StorageError) as caught:
        get_data_manager().list("redis")
    assert SECRET not in str(caught.value)
