"""What every test can rely on: how many random cases to try, and nothing of the user's own setup."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from guide import BLOCKS, imported_before
from guide_servers import as_here
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from praval_storage import DataManager, get_data_manager, reset_data_manager

if TYPE_CHECKING:
    from praval_storage.sandbox import Sandbox

TOGETHER = (
    r"notebooks/.*\.ipynb",
    r"tests/jupyter/",
    r"tests/test_sandbox\.py",
    r"tests/providers/test_(postgresql|postgresql_existing|redis|redis_messages)\.py",
)
"""Patterns of paths from the root of the repository; what matches is the name of the group."""
pytest_plugins = ["harness.fixtures"]

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2_500)


def cases(default: int, thorough: int | None = None) -> int:
    """How many random cases a property test tries: ``@settings(max_examples=cases(2_000, 20_000))``.

    Tests import it with ``from conftest import cases``.

    Args:
        default: In a usual run.
        thorough: With ``--thorough``; 25 times as many when left out.
    """
    if settings.get_current_profile_name() != "thorough":
        return default
    return 25 * default if thorough is None else thorough


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="try many more random cases; takes long")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("thorough" if config.getoption("--thorough") else "default")
    _leave_the_user_alone(config)


class Together(LoadScopeScheduling):
    """Who stays together when the tests run in several processes (``-n 2``, as in `make test`).

    Tests go to the processes one by one, wherever there is room; each process has servers of its own. What is
    in ``TOGETHER`` goes to one process as a whole, in its order, and before the rest: the cells of a notebook
    share a kernel, the browser tests a browser, and some modules a server of their own or a large table.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return next((match[0] for start in TOGETHER if (match := re.match(start, path))), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    # Not xdist's own "loadgroup": with pytest 9.2 its groups are lost, because it cannot rename tests there.
    return Together(config, log)


def _leave_the_user_alone(config: pytest.Config) -> None:
    """Tests, and the kernels nbval starts, neither read nor write the user's folders and settings."""
    folder = tempfile.TemporaryDirectory(prefix="praval-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        patch.setenv(name, str(Path(folder.name, name.lower())))
    patch.setenv("JUPYTER_NO_CONFIG", "1")
    patch.setenv("PRAVAL_STORAGE_PATH", str(Path(folder.name, "storage")))


@pytest.fixture
def dm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataManager]:
    """The process-wide manager of somebody who starts in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("PRAVAL_STORAGE_PATH", "QDRANT_URL", "QDRANT_COLLECTION", "POSTGRES_HOST", "REDIS_HOST"):
        monkeypatch.delenv(name, raising=False)
    reset_data_manager()
    yield get_data_manager()
    reset_data_manager()


@pytest.fixture
def environment(dm: DataManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of ``dm``, for agents of praval: no model is asked, and the user's home is left alone."""
    ours = {"OPENAI_API_KEY": "no key", "PRAVAL_DEFAULT_PROVIDER": "openai", "HOME": str(tmp_path / "home")}
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def run(dm: DataManager, request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """Run the blocks of the guide that the test is marked with, one after the other in one namespace.

    It has ``dm``, what earlier blocks imported, and the names given, which the guide leaves open.
    """
    marked = request.node.get_closest_marker("guide").args
    blocks = [name for name in marked if BLOCKS[name].is_code]

    def run_blocks(**given: Any) -> dict[str, Any]:
        namespace: dict[str, Any] = {"dm": dm, **given}
        for name in blocks:
            exec(imported_before(name), namespace)
            code = as_here(BLOCKS[name].code, request)
            exec(compile(code, f"guide: {name}", "exec", dont_inherit=True), namespace)
        return namespace

    return run_blocks


class Servers:
    """The servers tests talk to: those the environment names, else a sandbox, started when first needed."""

    @cached_property
    def sandbox(self) -> Sandbox:
        from praval_storage.sandbox import Sandbox

        return Sandbox().start()

    def close(self) -> None:
        if "sandbox" in vars(self):
            self.sandbox.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def postgres_dsn(servers: Servers) -> str:
    return os.environ.get("TEST_POSTGRES_DSN") or servers.sandbox.postgresql.dsn


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    return os.environ.get("TEST_REDIS_URL") or servers.sandbox.redis.url


@pytest.fixture(scope="session")
def s3_endpoint(servers: Servers) -> str:
    return os.environ.get("TEST_S3_ENDPOINT_URL") or servers.sandbox.s3.endpoint_url
