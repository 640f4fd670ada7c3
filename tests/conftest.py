"""What every test can rely on: how many random cases to try, and nothing of the user's own setup."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from guide import BLOCKS, imported_before
from guide_servers import as_here
from hypothesis import settings

from praval_storage import DataManager, get_data_manager, reset_data_manager

if TYPE_CHECKING:
    from praval_storage.sandbox import Sandbox

BROWSER_TESTS = Path(__file__).with_name("jupyter")
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


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who stays together when the tests run in several processes (``-n 2 --dist loadgroup``, as `make test`).

    Tests go to the processes one by one, wherever there is room; each process has servers of its own. All of
    a group go to one process, in their order: the cells of a notebook share a kernel, and one browser is
    enough. A module whose tests share something costly, or must not meet each other, says
    ``pytestmark = pytest.mark.xdist_group("name")``.
    """
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.xdist_group(item.path.name))
        elif item.path.is_relative_to(BROWSER_TESTS):
            item.add_marker(pytest.mark.xdist_group("browser"))


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
