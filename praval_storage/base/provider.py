"""``BaseStorageProvider``: three methods and all that follows from them, and the error boundary of calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

from praval_storage.base.items import StorageResult
from praval_storage.base.marks import changes
from praval_storage.base.telling import told
from praval_storage.diagnosis import Checkup
from praval_storage.display import WIDEST, as_html, facts
from praval_storage.errors import (
    ConfigurationError,
    KeyExistsError,
    KeyNotFoundError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
    UnsupportedOperationError,
)
from praval_storage.records import Draft, Stored
from praval_storage.serialization import encode

ErrorMap = Mapping[type[BaseException], type[StorageError]]


class BaseStorageProvider(ABC):
    """A storage backend. Subclass it, call ``super().__init__(name)``, define three methods.

    Args:
        name: What the backend is called in messages.
    """

    errors: ClassVar[ErrorMap] = {
        FileNotFoundError: KeyNotFoundError,
        LookupError: KeyNotFoundError,
        PermissionError: StoragePermissionError,
        TimeoutError: StorageTimeoutError,
        ConnectionError: StorageConnectionError,
        Exception: StorageError,
    }
    """Driver error to ours; the first entry that matches is taken, what is not listed passes through."""

    cures: ClassVar[Mapping[type[BaseException], str]] = {}
    """What to do about a driver error, for messages; the first entry that matches is taken."""

    libraries: ClassVar[Sequence[str]] = ()
    """Packages that reach the backend; ``dm.doctor()`` says their versions."""

    ability: ClassVar[str] = ""
    """Of a capability, in words, what those who have it can do."""

    read_only: ClassVar[bool] = False
    """Whether it was registered to be read only; see the module ``read_only``."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def place(self) -> str:
        """Where it stores, in a few words for people, without secrets; ``""`` = nothing to say."""
        return ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """A provider configured by environment variables."""
        raise ConfigurationError(
            f"{cls.__name__} is not configured by the environment",
            hint="Give its settings: register_provider(name, {...}), or an instance of it",
        )

    @abstractmethod
    @changes
    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        """Keep ``data`` under ``key``, replacing what was there."""

    @abstractmethod
    def retrieve(self, key: str) -> Any:
        """The data under ``key``.

        Raises:
            KeyNotFoundError: There is none (any ``LookupError`` will do).
        """

    @abstractmethod
    @changes
    def delete(self, key: str) -> bool:
        """Remove ``key``; whether it was there."""

    def query(self, filters: dict[str, Any], limit: int | None) -> list[Any]:
        """At most ``limit`` data values that match ``filters``; ``None`` = all."""
        raise UnsupportedOperationError(
            "This provider cannot be queried", provider=self.name, operation="query"
        )

    @changes
    def write(self, drafts: Sequence[Draft], *, overwrite: bool = True) -> list[StorageResult]:
        """Store several records, one result each, in order; a failing item does not stop the others.

        Here: one ``store`` per record, and with ``overwrite=False`` one ``retrieve`` before it (not atomic).
        """
        return [self._attempt(draft, overwrite) for draft in drafts]

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        """The records under ``keys``, in order, ``None`` where there is none. Here: one ``retrieve`` each.

        Args:
            keys: Legal keys.
            bodies: Whether the data is wanted; without, a provider may leave ``Stored.body`` out.
        """
        return [self._find(key) for key in keys]

    @changes
    def remove(self, keys: Sequence[str]) -> list[bool]:
        """Delete several records with distinct keys; whether each was there. Here: one ``delete`` each."""
        return [self._discard(key) for key in keys]

    def load(self, stored: Stored) -> Any:
        """The value of a record this provider returned."""
        return stored.data

    def health(self) -> str:
        """Reach the backend once: a few words about it. Raises what a failing call would raise."""
        return ""

    def diagnose(self) -> Checkup:
        """What ``dm.doctor()`` should say of a backend that answers. Changes nothing that is stored."""
        return Checkup()

    def browse(self, path: str = "", *, read_only: bool = False, static: bool = False) -> Any:
        """Look around in this provider; see ``DataManager.browse``.

        Args:
            path: Place in the provider to begin at.
            read_only: Whether nothing may be deleted.
            static: No widget.
        """
        jupyter = import_module("praval_storage.jupyter")
        return jupyter.browse_provider(self, path, read_only=read_only, static=static)

    def close(self) -> None:
        """Let go of connections and files; the provider may be used again afterwards."""

    def secrets(self) -> Iterable[str]:
        """Settings that no message may show."""
        return ()

    def __copy__(self) -> Self:
        """One that shares connections; ``__reduce__``, which copies go by otherwise, leaves them behind."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place or repr(self.name)}>"

    def _repr_html_(self) -> str:
        return as_html(facts(repr(self), {"can": ", ".join(self.abilities())}, width=WIDEST))

    @classmethod
    def abilities(cls) -> list[str]:
        """What the class line says it can do, in words."""
        return [
            "store, retrieve, delete",
            *(word for kind in cls.__mro__ if (word := vars(kind).get("ability"))),
        ]

    def _attempt(self, draft: Draft, overwrite: bool) -> StorageResult:
        try:
            with boundary(self, "store", draft.key):
                if draft.expires_at is not None:
                    raise UnsupportedOperationError(
                        "This provider keeps no expiry", hint="Leave out ttl, or subclass RecordProvider"
                    )
                if not overwrite and self._find(draft.key) is not None:
                    raise KeyExistsError("The key exists and overwrite=False")
                return _checked(self.store(draft.key, _value(draft.data), dict(draft.metadata)))
        except StorageError as error:
            return StorageResult(success=False, key=draft.key, error=error)

    def _discard(self, key: str) -> bool:
        try:
            with boundary(self, "delete", key):
                return self.delete(key)
        except KeyNotFoundError:
            return False

    def _find(self, key: str) -> Stored | None:
        try:
            with boundary(self, "retrieve", key):
                return Stored(key, "object", data=self.retrieve(key))
        except KeyNotFoundError:
            return None


def _checked(result: object) -> StorageResult:
    """What a provider says of a write; those of others may forget to say anything."""
    if isinstance(result, StorageResult):
        return result
    raise StorageError(
        f"store() of the provider must return a StorageResult, not {type(result).__name__}",
        hint="Whether the record is stored is not known",
    )


def _value(data: Any) -> Any:
    """What a provider that sees plain values is given: of a file its content."""
    is_file = isinstance(data, Path) or hasattr(data, "read")
    return encode(data).read() if is_file else data


@contextmanager
def boundary(provider: BaseStorageProvider, operation: str, key: str | None = None) -> Iterator[None]:
    """Turn driver errors into ours, with provider, operation and key, secrets blotted out."""
    try:
        yield
    except StorageError as error:
        error.within(provider.name, operation, key)
        raise
    except Exception as error:
        raise translate(provider, error).within(provider.name, operation, key) from error


def translate(provider: BaseStorageProvider, error: Exception) -> StorageError:
    """The error of ours a driver error stands for; what the provider does not list is raised as it is."""
    for driver_error, ours in provider.errors.items():
        if isinstance(error, driver_error):
            cure = next((cure for kind, cure in provider.cures.items() if isinstance(error, kind)), None)
            return ours(f"{type(error).__name__}: {told(provider, error)}", hint=cure)
    raise error
