"""``dm.doctor()``: what is the matter, where settings came from, what to do; on servers up and down."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from backends import make
from custom_provider import MyCustomProvider
from psycopg import sql
from psycopg.conninfo import make_conninfo

from praval_storage import (
    BaseStorageProvider,
    DataManager,
    get_data_manager,
    reset_data_manager,
    storage_enabled,
)
from praval_storage.diagnosis import Checkup, Diagnosis, DoctorReport, Finding
from praval_storage.environment import from_environment
from praval_storage.errors import ConfigurationError, StorageError
from praval_storage.providers import (
    FileSystemProvider,
    FsspecProvider,
    PostgreSQLProvider,
    QdrantProvider,
    RedisProvider,
    S3Provider,
)
from praval_storage.sandbox import Sandbox
from praval_storage.settings import Environment, Setting

if TYPE_CHECKING:
    from conftest import Servers

ALL = ["filesystem", "s3", "postgresql", "redis", "qdrant"]
SECRET = "pl4nted-s3cret"
HOSTILE = "<img src=x onerror=alert(1)>&\"'\n\x1b[31m"


@pytest.fixture(scope="module")
def sandbox(servers: Servers) -> Sandbox:
    return servers.sandbox


def everything(report: DoctorReport) -> str:
    return "\n".join(
        [repr(report), str(report), report._repr_html_(), pickle.dumps(report).decode("latin-1")]
    )


def findings(provider: BaseStorageProvider, *, read_only: bool = False) -> list[str]:
    with DataManager({"p": provider}, read_only=read_only) as dm:
        [diagnosis] = dm.doctor().values()
    assert diagnosis.status == "up", diagnosis.reason
    return [str(finding) for finding in diagnosis.findings]


# -- all five


def test_all_five_are_up(sandbox: Sandbox) -> None:
    report = sandbox.manager.doctor()
    assert list(report) == ALL
    assert {name: each.status for name, each in report.items()} == dict.fromkeys(ALL, "up")
    assert report.is_healthy
    assert "no findings to act on" in repr(report)
    servers = {name: report[name].server for name in ALL}
    assert servers["postgresql"].startswith("PostgreSQL 1")
    assert servers["redis"].startswith("Redis ")
    assert servers["qdrant"] == "Qdrant, embedded"
    assert {"psycopg", "psycopg-pool"} == report["postgresql"].libraries.keys()
    assert all(each.seconds > 0 for each in report.values())
    assert sources(report["redis"]) >= {("host", "argument"), ("db", "default")}


def sources(diagnosis: Diagnosis) -> set[tuple[str, str]]:
    return {(setting.name, setting.source) for setting in diagnosis.settings}


def test_the_repr_is_the_same_in_every_run_and_on_every_port(sandbox: Sandbox) -> None:
    first = repr(sandbox.manager.doctor())
    assert repr(sandbox.manager.doctor()) == first
    with Sandbox() as other:
        assert repr(other.doctor()) == first
    assert str(sandbox.redis.port) not in first
    assert "/tmp" not in first
    assert " ms" not in first


def test_print_has_values_addresses_and_times(sandbox: Sandbox) -> None:
    text = str(sandbox.manager.doctor())
    assert str(sandbox.redis.port) in text
    assert str(sandbox.directory) in text
    assert " ms" in text


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_html_is_small_and_survives_where_nothing_is_trusted(sandbox: Sandbox) -> None:
    html = sandbox.manager.doctor()._repr_html_()
    assert len(html.encode()) <= 6_000
    tags = Tags(html)
    assert tags.open == []
    assert tags.tags <= {"div", "p", "details", "summary", "table", "tbody", "tr", "td", "ul", "li"}
    assert tags.attributes <= {"open", "style"}


def test_the_html_of_five_ill_providers_is_small() -> None:
    settings = [Setting(f"setting_{n}", "value " * 20, f"VARIABLE_{n} in /srv/data/.env") for n in range(6)]
    settings += [Setting(f"other_{n}", "x" * 30, "default") for n in range(6)]
    ill = Diagnosis(
        "down",
        "reason " * 60,
        "StorageConnectionError",
        "cure " * 20,
        1.0,
        settings=settings,
        findings=[Finding("what " * 20, "do " * 20)] * 2,
    )
    html = DoctorReport(dict.fromkeys(ALL, ill))._repr_html_()
    assert len(html.encode()) <= 12_000  # nobody's are that long
    assert html.count("<details open>") == 5


def test_the_report_is_frozen_and_a_mapping(sandbox: Sandbox) -> None:
    report = sandbox.manager.doctor()
    with pytest.raises(FrozenInstanceError):
        report.origin = "x"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        report["redis"].status = "down"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(report)) == report
    assert report._ipython_key_completions_() == ALL
    assert "nowhere" not in report


def test_hostile_names_and_values_are_only_text() -> None:
    report = DoctorReport(
        {
            HOSTILE: Diagnosis(
                "down",
                HOSTILE,
                "E",
                HOSTILE,
                server=HOSTILE,
                libraries={HOSTILE: HOSTILE},
                settings=[Setting(HOSTILE, HOSTILE, HOSTILE), Setting("x", HOSTILE, "default")],
                findings=[Finding(HOSTILE, HOSTILE)],
            )
        },
        HOSTILE,
    )
    assert "<img" not in report._repr_html_()
    assert "\x1b" not in report._repr_html_() + repr(report) + str(report)


# -- servers that are down, or refuse us


@pytest.mark.parametrize("name", ["s3", "postgresql", "redis"])
def test_one_that_is_stopped_hides_nothing_of_the_others(name: str, tmp_path: Path) -> None:
    sandbox = Sandbox(services=[name, "filesystem"])
    with sandbox as dm:
        dm.register_provider("qdrant", QdrantProvider(path=tmp_path))
        before = dm.doctor()
        assert before[name].status == "up"
        dm.providers[name].close()
        getattr(sandbox, name).stop()
        report = dm.doctor()
    down = report[name]
    assert (down.status, down.error) == ("down", "StorageConnectionError")
    assert down.reason
    assert down.cure
    assert down.settings == before[name].settings
    assert f"{name}" in repr(report)
    assert "StorageConnectionError" in repr(report)
    assert down.cure in repr(report)
    assert "no findings" not in repr(report), "there is something to act on"
    assert [report[other].status for other in ("filesystem", "qdrant")] == ["up", "up"]
    assert not report.is_healthy
    assert "<details open>" in report._repr_html_()


def test_a_folder_of_qdrant_that_another_process_holds(tmp_path: Path) -> None:
    with DataManager({"qdrant": QdrantProvider(path=tmp_path)}) as dm:
        dm.store({"vector": [1.0]}, "qdrant", "k")
        dm.close()
        story = f"""
import sys
from praval_storage.providers import QdrantProvider
provider = QdrantProvider(path={str(tmp_path)!r}); provider.health()
print("held", flush=True)
sys.stdin.read()
"""
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        holder = subprocess.Popen(
            [sys.executable, "-c", story],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            text=True,
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        report = dm.doctor()
        holder.communicate()
        assert report["qdrant"].status == "down"
        assert "in use by process" in report["qdrant"].reason
        assert str(holder.pid) not in repr(report)
        assert "QDRANT_URL" in repr(report)


def test_a_broken_index_of_the_file_system(tmp_path: Path) -> None:
    with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
        dm.store(1, "files", "k")
        dm.close()
        (tmp_path / ".praval" / "index.sqlite").write_bytes(b"no database" * 1_000)
        report = dm.doctor()
    assert report["files"].status == "down"
    assert "rebuild_index" in report["files"].cure


def wrong(postgres: str, cache: str, s3: str) -> dict[str, BaseStorageProvider]:
    """Providers with a secret that their server does not know."""
    place = urlsplit(cache)
    return {
        "postgresql": PostgreSQLProvider(dsn=make_conninfo(postgres, user="nobody_here", password=SECRET)),
        "redis": RedisProvider(
            place.hostname or "", place.port or 0, username="nobody_here", password=SECRET
        ),
        "redis-url": RedisProvider(url=f"redis://nobody:{SECRET}@{place.hostname}:{place.port}/0"),
        "s3": S3Provider("no-such-bucket", SECRET, f"key{SECRET}", "us-east-1", endpoint_url=s3),
        "qdrant": QdrantProvider("https://127.0.0.1:9", api_key=SECRET, timeout=1),
        "qdrant-login": QdrantProvider(f"http://user:{SECRET}@127.0.0.1:9", timeout=1),
        "fsspec": FsspecProvider(
            "http://127.0.0.1:9/x", storage_options={"headers": {"Authorization": SECRET}}
        ),
    }


def test_no_secret_is_told_of_servers_that_refuse_it(
    postgres_dsn: str, redis_url: str, s3_endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "praval_storage")
    with DataManager(wrong(postgres_dsn, redis_url, s3_endpoint)) as dm:
        report = dm.doctor()
    assert {name: each.status for name, each in report.items()} == dict.fromkeys(report, "down")
    assert all(each.cure for name, each in report.items() if name != "fsspec")
    assert SECRET not in everything(report) + caplog.text
    assert "set" in {setting.value for setting in report["redis"].settings}


def test_no_secret_is_told_of_servers_that_take_it(sandbox: Sandbox) -> None:
    report = sandbox.manager.doctor()
    told = everything(report)
    secrets = {secret for name in ALL for secret in sandbox.manager.providers[name].secrets()}
    assert len(secrets) >= 4
    assert [secret for secret in secrets if secret in told] == []


# -- where settings came from


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    reset_data_manager()
    yield tmp_path
    reset_data_manager()


def test_settings_say_which_variable_and_which_file(
    process: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = sandbox.environment() | {"QDRANT_PATH": str(process / "vectors")}
    in_file = {name: environ.pop(name) for name in ("REDIS_PASSWORD", "REDIS_PORT")}
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    (process / ".env").write_text("".join(f"{name}={text}\n" for name, text in in_file.items()))
    report = get_data_manager(load_env=True).doctor()
    assert {each.status for each in report.values()} == {"up"}
    assert sources(report["redis"]) >= {
        ("host", "REDIS_HOST"),
        ("port", f"REDIS_PORT in {process}/.env"),
        ("password", f"REDIS_PASSWORD in {process}/.env"),
        ("db", "default"),
    }
    assert "settings: environment, and behind it .env" in repr(report)
    assert "port from REDIS_PORT in .env" in repr(report)
    assert f"from REDIS_PORT in {process}/.env" in str(report)
    assert f"settings: environment, and behind it {process}/.env" in report._repr_html_()
    assert str(process) not in repr(report)
    assert environ["POSTGRES_PASSWORD"] not in everything(report)


def test_a_variable_that_is_wrong_is_named(tmp_path: Path) -> None:
    with from_environment(
        {"REDIS_HOST": "h", "REDIS_PORT": "abc", "PRAVAL_STORAGE_PATH": str(tmp_path)}
    ) as dm:
        report = dm.doctor()
    assert (report["redis"].status, report["redis"].error) == ("down", "ConfigurationError")
    assert "REDIS_PORT must be a number" in report["redis"].reason
    assert report["filesystem"].status == "up"


def test_a_url_that_is_not_used_is_said() -> None:
    environ = {
        "DATABASE_URL": f"postgresql://u:{SECRET}@h/d",
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": "9",
    }
    with from_environment(Environment(environ)) as dm:
        report = dm.doctor()
    assert "not used: POSTGRES_HOST names another server" in repr(report)
    assert SECRET not in everything(report)


# -- what providers find


def test_missing_indexes_of_postgresql(request: pytest.FixtureRequest, postgres_dsn: str) -> None:
    provider = make("postgresql", request)
    assert isinstance(provider, PostgreSQLProvider)
    assert findings(provider) == []
    provider.store("k", {"n": 1}, {})
    assert findings(provider) == []
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        schema = provider.settings.schema or ""
        found = "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND indexdef LIKE %s"
        [[index]] = admin.execute(found, (schema, "%(data jsonb_path_ops)%")).fetchall()
        admin.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, index)))
        [text] = findings(provider)
        assert "GIN index on data is missing" in text
        statement = text.partition("Run ")[2]
        assert statement.startswith("CREATE INDEX CONCURRENTLY ON")
        admin.execute(statement)
    assert findings(provider) == []


@pytest.fixture
def reader(postgres_dsn: str) -> Iterator[str]:
    name = sql.Identifier("doctor_reader")
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'reader'").format(name))
        yield make_conninfo(postgres_dsn, user="doctor_reader", password="reader")
        admin.execute(sql.SQL("DROP OWNED BY {}").format(name))
        admin.execute(sql.SQL("DROP ROLE {}").format(name))


def test_rights_in_postgresql(request: pytest.FixtureRequest, postgres_dsn: str, reader: str) -> None:
    owner = make("postgresql", request)
    assert isinstance(owner, PostgreSQLProvider)
    owner.store("k", 1, {})
    schema = sql.Identifier(owner.settings.schema or "")
    provider = PostgreSQLProvider(dsn=reader, schema=owner.settings.schema)
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO doctor_reader").format(schema))
        [text] = findings(provider)
        assert "lacks SELECT, INSERT, UPDATE, DELETE" in text
        admin.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO doctor_reader").format(schema))
        [text] = findings(provider)
        assert "lacks INSERT, UPDATE, DELETE" in text
        assert findings(provider, read_only=True) == []
        admin.execute(text.partition(". ")[2])
        assert findings(provider) == []
    [text] = findings(PostgreSQLProvider(dsn=reader, schema=owner.settings.schema, table="new"))
    assert "may not make it" in text
    assert (
        findings(PostgreSQLProvider(dsn=reader, table="new", schema=owner.settings.schema), read_only=True)
        == []
    )


@pytest.fixture
def own_redis() -> Iterator[tuple[redis.Redis, RedisProvider]]:
    """A server of this test alone: its settings are changed."""
    owner = Sandbox(services=["redis"])
    with owner as dm, redis.Redis.from_url(owner.redis.url) as client:
        yield client, RedisProvider(url=owner.redis.url)
        dm.close()


def test_what_loses_data_in_redis(own_redis: tuple[redis.Redis, RedisProvider]) -> None:
    client, provider = own_redis
    events = ["note: Nobody is told of expired keys"]
    assert [text.partition(".")[0] for text in findings(provider)] == events
    client.config_set("notify-keyspace-events", "Ex")
    assert findings(provider) == []
    client.config_set("appendonly", "no")
    [text] = findings(provider)
    assert text.startswith("Nothing is kept on disk")
    client.config_set("save", "60 1000")
    [text] = findings(provider)
    assert text.startswith("note: Snapshots only")
    client.config_set("appendonly", "yes")
    client.config_set("maxmemory", "100mb")
    assert findings(provider) == []
    client.config_set("maxmemory-policy", "allkeys-lru")
    [text] = findings(provider)
    assert "drops any records" in text
    client.config_set("maxmemory-policy", "volatile-ttl")
    [text] = findings(provider)
    assert text.startswith("note: When its memory is full")
    client.config_set("appendonly", "no")
    client.acl_setuser(
        "shy", enabled=True, nopass=True, categories=["+@all"], commands=["-config"], keys=["*"]
    )
    place = urlsplit(provider.settings.url or "")
    shy = RedisProvider(place.hostname or "", place.port or 0, username="shy", password="x")
    assert any("CONFIG may not be asked" in text for text in findings(shy))
    client.acl_setuser(
        "shyer", enabled=True, nopass=True, categories=["+@all"], commands=["-config", "-info"]
    )
    shyer = DataManager(
        {"p": RedisProvider(place.hostname or "", place.port or 0, username="shyer", password="x")}
    )
    assert shyer.doctor()["p"].error == "StoragePermissionError"


def test_an_index_of_files_that_others_changed(tmp_path: Path) -> None:
    provider = FileSystemProvider(tmp_path)
    for key in ("same", "changed", "gone"):
        provider.store(key, {"n": 1}, {"kind": "x"})
    assert findings(provider) == []
    (tmp_path / "changed").write_text("[]")
    (tmp_path / "gone").unlink()
    [text] = findings(provider)
    assert "2 rows" in text
    provider.store("changed", {"n": 2}, {})
    assert "1 row " in findings(provider)[0]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("praval_storage.providers.filesystem.checkup.LITTLE", 1 << 62)
    assert "nearly full" in findings(FileSystemProvider(tmp_path))[0]
    assert findings(FileSystemProvider(tmp_path), read_only=True) == []


def test_indexes_of_qdrant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = QdrantProvider(path=tmp_path)
    with DataManager({"q": provider}) as dm:
        dm.store_many([{"n": n, "vector": [1.0, float(n)]} for n in range(1_100)], "q")
        assert findings(provider) == []
        reader = DataManager({"q": provider}, read_only=True)
        assert reader.query("q", {"n": 7}).keys
        [finding] = reader.doctor()["q"].findings
        assert "data.n" in finding.what
        assert dm.query("q", {"n": 7}).keys
        assert reader.doctor()["q"].findings == ()
        monkeypatch.setattr("praval_storage.providers.qdrant.checkup.MANY", 1_000)
        [finding] = dm.doctor()["q"].findings
        assert "HNSW" in finding.what
        assert "optimize" in finding.cure


def test_a_qdrant_client(request: pytest.FixtureRequest) -> None:
    with DataManager({"q": make("qdrant-server", request)}) as dm:
        assert dm.doctor()["q"].server.startswith("Qdrant ")


def test_options_that_fsspec_adds_silently(monkeypatch: pytest.MonkeyPatch, s3_endpoint: str) -> None:
    from fsspec.config import conf

    monkeypatch.setitem(conf, "memory", {"secret": SECRET})
    monkeypatch.setitem(conf, "s3", {"anon": "true"})
    [text] = findings(FsspecProvider("memory://silent"))
    assert "adds secret to every memory file system" in text
    assert SECRET not in text
    provider = S3Provider(
        "silent", "testing", "testing", "us-east-1", endpoint_url=s3_endpoint, auto_create=True
    )
    [text] = findings(provider)
    assert "adds anon" in text


# -- any provider


def test_a_provider_of_three_methods() -> None:
    with DataManager({"custom": MyCustomProvider({"password": SECRET})}) as dm:
        report = dm.doctor()
    assert report["custom"].status == "up"
    assert SECRET not in everything(report)


class Odd(MyCustomProvider):
    """Does as it is told when it is asked how it is."""

    def __init__(self, action: Callable[[], Any], checkup: Callable[[], Checkup] = Checkup) -> None:
        super().__init__({})
        self._action = action
        self._checkup = checkup

    def health(self) -> str:
        return str(self._action())

    def diagnose(self) -> Checkup:
        return self._checkup()


def failing(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def test_all_are_asked_at_once() -> None:
    barrier = Barrier(5, timeout=30)
    with DataManager({str(number): Odd(barrier.wait) for number in range(5)}) as dm:
        assert {each.status for each in dm.doctor().values()} == {"up"}


def test_one_that_hangs_is_left_behind() -> None:
    release = Event()
    with DataManager({"slow": Odd(release.wait), "quick": MyCustomProvider({})}) as dm:
        report = dm.doctor(timeout=0.3)
        release.set()
    assert report["slow"].reason == "No answer within 0.3 s"
    assert report["quick"].status == "up"


@pytest.mark.parametrize(
    "error", [RuntimeError("why"), ConfigurationError("why"), KeyError("why"), OSError("why")]
)
def test_whatever_a_provider_raises_is_reported(error: Exception) -> None:
    dm = DataManager({"odd": Odd(failing(error)), "lazy": MyCustomProvider({})})
    dm.register_provider("unmade", failing(error))
    report = dm.doctor()
    assert [report[name].status for name in ("odd", "unmade", "lazy")] == ["down", "down", "up"]
    assert "why" in report["odd"].reason
    assert "why" in report["unmade"].reason


def test_a_checkup_that_fails_is_a_finding() -> None:
    with DataManager({"odd": Odd(str, failing(StorageError("why", hint="Do so")))}) as dm:
        [finding] = dm.doctor()["odd"].findings
    assert "why" in finding.what
    assert finding.cure == "Do so"


def test_a_checkup_of_ones_own() -> None:
    own = Checkup(
        "Shelf 1.0", [Finding("It wobbles", "Put paper under it"), Finding("It is old", is_note=True)]
    )
    with DataManager({"odd": Odd(str, lambda: own)}) as dm:
        report = dm.doctor()
    assert report["odd"].problems == [own.findings[0]]
    assert "odd: It wobbles. Put paper under it" in repr(report)
    assert "odd: note: It is old" in repr(report)
    assert "1 finding to act on" in repr(report)
    assert "Shelf 1.0" in report._repr_html_()


@dataclass(frozen=True)
class ForeignSettings:
    place: str
    password: str
    api_key: str = "default key"
    tags: list[str] = field(default_factory=list)


def test_settings_of_other_peoples_providers_do_not_tell_what_looks_secret() -> None:
    provider = MyCustomProvider({})
    provider.settings = ForeignSettings("here", SECRET)  # type: ignore[attr-defined]
    with DataManager({"custom": provider}) as dm:
        report = dm.doctor()
    assert report["custom"].settings == (
        Setting("place", "here", "argument"),
        Setting("password", "set", "argument"),
        Setting("api_key", "set", "default"),
        Setting("tags", "[]", "default"),
    )


def test_read_only_is_said(tmp_path: Path) -> None:
    dm = DataManager()
    dm.register_provider("a", FileSystemProvider(tmp_path), read_only=True)
    dm.register_provider("b", failing(RuntimeError()), read_only=True)
    report = dm.doctor()
    for text in (repr(report), str(report), report._repr_html_()):
        assert text.count("read-only") == 2, text


def test_a_view_of_a_function_has_a_doctor(process: Path) -> None:
    @storage_enabled(providers=["filesystem"])
    def function(storage: DataManager) -> DoctorReport:
        return storage.doctor()

    assert list(function()) == ["filesystem"]


def test_nothing_is_made(tmp_path: Path) -> None:
    with from_environment({"PRAVAL_STORAGE_PATH": str(tmp_path / "new")}) as dm:
        assert {each.status for each in dm.doctor().values()} == {"up"}
    assert list(tmp_path.iterdir()) == []


def test_sqlite_is_the_version_that_is_loaded(tmp_path: Path) -> None:
    with DataManager({"a": FileSystemProvider(tmp_path)}) as dm:
        assert dm.doctor()["a"].server == f"SQLite {sqlite3.sqlite_version}"
