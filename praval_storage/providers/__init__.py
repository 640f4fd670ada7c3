"""The built-in providers. Each loads its driver when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from praval_storage.providers.filesystem import FileSystemProvider
    from praval_storage.providers.fsspec import FsspecProvider
    from praval_storage.providers.postgresql import PostgreSQLProvider
    from praval_storage.providers.qdrant import QdrantProvider
    from praval_storage.providers.redis import RedisProvider
    from praval_storage.providers.s3 import S3Provider

__all__ = [
    "FileSystemProvider",
    "FsspecProvider",
    "PostgreSQLProvider",
    "QdrantProvider",
    "RedisProvider",
    "S3Provider",
]


class BuiltIn(NamedTuple):
    """The module a provider lives in, and the extra that brings its driver."""

    module: str
    extra: str | None


BUILT_IN = {
    "FileSystemProvider": BuiltIn("filesystem", None),
    "FsspecProvider": BuiltIn("fsspec", "s3"),
    "PostgreSQLProvider": BuiltIn("postgresql", "postgresql"),
    "QdrantProvider": BuiltIn("qdrant", "qdrant"),
    "RedisProvider": BuiltIn("redis", "redis"),
    "S3Provider": BuiltIn("s3", "s3"),
}


def __getattr__(name: str) -> Any:
    if name not in BUILT_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, extra = BUILT_IN[name]
    try:
        return getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        if extra is None or (error.name or "").startswith(__name__):
            raise
        raise ImportError(
            f"{name} needs {error.name}: pip install 'praval_storage[{extra}]'", name=error.name
        ) from error


def __dir__() -> list[str]:
    return __all__
