"""What the environment says: the providers it names, and the one manager of the process made from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock

from dotenv import dotenv_values, find_dotenv

from praval_storage.base import BaseStorageProvider
from praval_storage.errors import ConfigurationError
from praval_storage.manager import DataManager
from praval_storage.registry import provider_class
from praval_storage.settings import Environment, is_postgresql

EnvFile = bool | str | os.PathLike[str]

_ALWAYS = ("filesystem", "qdrant")


_WHEN_NAMED: dict[str, dict[str, Callable[[str], bool]]] = {
    "postgresql": {"POSTGRES_HOST": bool, "POSTGRES_DB": bool, "DATABASE_URL": is_postgresql},
    "redis": {"REDIS_HOST": bool, "REDIS_URL": bool},
    "s3": {"AWS_S3_BUCKET": bool, "S3_BUCKET_NAME": bool},
}
"""The variables that say where a server is; that there is a password for one says nothing."""


def from_environment(environ: Mapping[str, str]) -> DataManager:
    """A manager with the default providers and those these environment variables name."""
    manager = DataManager()
    manager.providers.environ = environ if isinstance(environ, Environment) else Environment(environ)
    for name in (*_ALWAYS, *(name for name in _WHEN_NAMED if _is_named(name, environ))):
        manager.register_provider(name, partial(_from_environment, name, environ))
    return manager


def get_data_manager(*, load_env: EnvFile = False) -> DataManager:
    """The process-wide manager, made on the first call from the environment as it is then.

    It always has ``filesystem`` (``PRAVAL_STORAGE_PATH``, else ``./storage``) and ``qdrant`` (embedded beside
    it, unless ``QDRANT_URL`` names a server); ``postgresql`` with ``POSTGRES_HOST``, ``POSTGRES_DB`` or
    ``DATABASE_URL``, ``redis`` with ``REDIS_HOST`` or ``REDIS_URL``, ``s3`` with ``AWS_S3_BUCKET``. Nothing
    is created, imported or connected before it is used, and a variable that is wrong is an error of the one
    provider it is for, when that is used. ``dm.doctor()`` says where each setting came from.

    Args:
        load_env: A ``.env`` file whose variables stand behind those of the environment, which is not changed;
            ``True`` = the first one found from the working directory upward, if any.

    Raises:
        ConfigurationError: The file cannot be read, or the manager was made without it before.
    """
    file = _env_file(load_env)
    with _process.lock:
        if _process.manager is None:
            _process.manager, _process.file = from_environment(_environment(file)), file
        elif file is not None and file != _process.file:
            raise ConfigurationError(
                f"The data manager of this process was made before, {_made_from(_process.file)}",
                hint="Call reset_data_manager() before get_data_manager(load_env=...)",
            )
        return _process.manager


def reset_data_manager() -> None:
    """Close the process-wide manager and forget it; the next one reads the environment anew."""
    with _process.lock:
        if _process.manager is not None:
            _process.manager.close()
        _process.manager = _process.file = None


class _Process:
    """What the process has one of."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.manager: DataManager | None = None
        self.file: Path | None = None


_process = _Process()


def _is_named(name: str, environ: Mapping[str, str]) -> bool:
    return any(
        is_one(text) for variable, is_one in _WHEN_NAMED[name].items() if (text := environ.get(variable))
    )


def _from_environment(name: str, environ: Mapping[str, str]) -> BaseStorageProvider:
    return provider_class(name).from_env(environ)


def _env_file(load_env: EnvFile) -> Path | None:
    """The file that is meant; of one that is named it is not known yet whether it is there."""
    if isinstance(load_env, bool):
        found = find_dotenv(usecwd=True) if load_env else ""
        return Path(found) if found else None
    try:
        return Path(load_env).expanduser().absolute()
    except (TypeError, RuntimeError):  # no path, or the home of nobody
        raise ConfigurationError(
            f"load_env must be True, False or the path of a file, not {load_env!r}"
        ) from None


def _environment(file: Path | None) -> Environment:
    if file is None:
        return Environment(dict(os.environ))
    return Environment(dict(os.environ), file, _read(file))


def _read(file: Path) -> dict[str, str]:
    try:
        with file.open(encoding="utf-8-sig") as stream:
            values = dotenv_values(stream=stream)
    except OSError as error:
        raise ConfigurationError(
            f"The .env file {file} cannot be read: {error.strerror}",
            hint="Check load_env=; True looks for .env from the working directory upward",
        ) from None
    except UnicodeDecodeError:
        # Its own text and attributes quote the file, which holds passwords.
        raise ConfigurationError(f"The .env file {file} is not UTF-8", hint="Save it as UTF-8") from None
    return {name: text for name, text in values.items() if text is not None}


def _made_from(file: Path | None) -> str:
    return "without a .env file" if file is None else f"from {file}"
