"""What every test can rely on: how many random cases to try, and nothing of the user's own setup."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2_500)


def cases(default: int, thorough: int | None = None) -> int:
    """How many random cases a property test tries: ``@settings(max_examples=cases(2_000, 50_000))``.

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
