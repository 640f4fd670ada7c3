"""The provider contract.

A provider subclasses :class:`BaseStorageProvider` and defines ``store``, ``retrieve`` and ``delete``;
``query`` is optional. Those methods see plain Python values, and everything else the manager needs
(batches, existence, references) is derived from them, at the price that each docstring states.

A richer provider subclasses :class:`RecordProvider` (it keeps metadata, times, expiry and types) and as many
capability classes as it can honour. A capability is one or two hooks; ``isinstance`` is the only test for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple, Protocol, Self, TypeVar

from praval_storage.diagnosis import Checkup
from praval_storage.display import as_html, facts
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
from praval_storage.filters import Node, parse
from praval_storage.keys import validate_key
from praval_storage.places import Look, Measured, Seen
from praval_storage.records import MISSING, Draft, Stored
from praval_storage.sampling import VectorSample
from praval_storage.scan import Neighbours, Scan, Scanned, select
from praval_storage.serialization import Content, decode, encode, encode_metadata

ErrorMap = Mapping[type[BaseException], type[StorageError]]
Method = TypeVar("Method", bound=Callable[..., Any])


def changes(method: Method) -> Method:
    """Mark a method that changes what is stored: a provider that is registered read-only refuses it.

    What overrides such a method need not be marked again.
    """
    vars(method)[_CHANGES] = True
    return method


def is_changing(kind: type, name: str) -> bool:
    """Whether a method of a class, or one that it overrides, is marked with ``changes``."""
    return any(_CHANGES in getattr(vars(each).get(name), "__dict__", ()) for each in kind.__mro__)


_CHANGES = "_praval_changes"


class Item(NamedTuple):
    """A draft with its encoded body and its metadata as JSON text."""

    draft: Draft
    content: Content
    metadata: bytes

    def stored(self, before: Stored | None = None) -> Stored:
        """The record to keep, its body read; the one it replaces keeps the time of its first write."""
        draft, content, metadata = self
        body = content.read()
        version = sha1(body + repr(content.types).encode(), usedforsecurity=False).hexdigest()[:16]
        return Stored(
            draft.key,
            content.format,
            body,
            content.types,
            metadata,
            draft.created_at or (before and before.created_at) or draft.written_at,
            draft.written_at,
            draft.expires_at,
            len(body),
            version,
        )


@dataclass(frozen=True, slots=True)
class StorageResult:
    """What a provider says of one write.

    Attributes:
        success: Whether the record is stored. A provider may also raise; both mean the same.
        key: Key of the record.
        error: The failure, when ``success`` is false.
        size: Bytes stored, where known.
        version: ETag, digest or row version, where the backend has one.
        created_at: First write of the key, aware UTC.
        format: Stored format of the data.
    """

    success: bool
    key: str
    error: Exception | str | None = None
    size: int | None = None
    version: str | None = None
    created_at: datetime | None = None
    format: str | None = None


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

    read_only: ClassVar[bool] = False
    """Whether it was registered to be read only; see the module ``read_only``."""

    def __init__(self, name: str) -> None:
        self.name = name

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
        return f"<{type(self).__name__} {self.name!r}>"

    def _repr_html_(self) -> str:
        return as_html(facts(repr(self), {"can": ", ".join(self.abilities())}))

    @classmethod
    def abilities(cls) -> list[str]:
        """What the class line says it can do, in words."""
        return [
            "store, retrieve, delete",
            *(word for ability, word in _WORDS.items() if issubclass(cls, ability)),
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
                return self.store(draft.key, _value(draft.data), dict(draft.metadata))
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


class RecordProvider(BaseStorageProvider):
    """A provider that keeps whole records: metadata, times, expiry, format and types.

    Subclasses define three batch hooks, ``put``, ``read`` and ``remove``; the methods of
    :class:`BaseStorageProvider` follow from them. All three treat an expired record as absent.

    Args:
        name: What the backend is called in messages.
        allow_pickle: Whether pickled data may be written and read. Reading pickles runs code.
    """

    def __init__(self, name: str, *, allow_pickle: bool = False) -> None:
        super().__init__(name)
        self.allow_pickle = allow_pickle

    @abstractmethod
    @changes
    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        """Store encoded records with distinct keys, one result each, in order.

        A failing item does not stop the others. ``created_at`` of a key that exists stays as it is, unless
        the draft brings its own. With ``overwrite=False`` an existing key is a ``KeyExistsError``, atomically
        where the backend can.
        """

    @abstractmethod
    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]: ...

    @abstractmethod
    def remove(self, keys: Sequence[str]) -> list[bool]: ...

    def put_each(
        self,
        items: Sequence[Item],
        overwrite: bool,
        find: Callable[[str], Stored | None],
        keep: Callable[[Stored], object],
    ) -> list[StorageResult]:
        """``put`` for a backend that writes one record at a time; atomic as far as the caller's lock is.

        Args:
            items: As in ``put``.
            overwrite: As in ``put``.
            find: The record under a key, unless it has expired.
            keep: Writes a record in the place of what was under its key.
        """
        return [self._put_one(item, overwrite, find, keep) for item in items]

    def _put_one(
        self,
        item: Item,
        overwrite: bool,
        find: Callable[[str], Stored | None],
        keep: Callable[[Stored], object],
    ) -> StorageResult:
        key = item.draft.key
        try:
            with boundary(self, "store", key):
                before = find(key)
                if before is not None and not overwrite:
                    raise KeyExistsError("The key exists and overwrite=False")
                new = item.stored(before)
                keep(new)
        except StorageError as error:
            return StorageResult(success=False, key=key, error=error)
        return StorageResult(True, key, None, new.size, new.version, new.created_at, new.format)

    def write(self, drafts: Sequence[Draft], *, overwrite: bool = True) -> list[StorageResult]:
        results: list[StorageResult | None] = [None] * len(drafts)
        items: dict[str, Item] = {}
        places: dict[str, list[int]] = {}
        for place, draft in enumerate(drafts):
            try:
                with boundary(self, "store", draft.key):
                    if draft.key in items and not overwrite:
                        raise KeyExistsError("The key is in this batch already and overwrite=False")
                    items[draft.key] = Item(draft, self.encode(draft), encode_metadata(draft.metadata))
                    places.setdefault(draft.key, []).append(place)
            except StorageError as error:
                results[place] = StorageResult(success=False, key=draft.key, error=error)
        if items:
            try:
                written = self.put(list(items.values()), overwrite=overwrite)
            finally:
                for item in items.values():
                    item.content.close()
            for result in written:
                for place in places[result.key]:
                    results[place] = result
        return [result for result in results if result is not None]

    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        with boundary(self, "store", key):
            draft = Draft(validate_key(key), data, metadata, datetime.now(UTC))
            result = self.write([draft])[0]
            raise_failure(result)
            return result

    def retrieve(self, key: str) -> Any:
        with boundary(self, "retrieve", key):
            stored = self.read([validate_key(key)])[0]
            if stored is None:
                raise KeyNotFoundError("No such key")
            return self.load(stored)

    def delete(self, key: str) -> bool:
        with boundary(self, "delete", key):
            return self.remove([validate_key(key)])[0]

    def load(self, stored: Stored) -> Any:
        if stored.body is None and stored.data is MISSING:
            [found] = self.read([stored.key])
            if found is None:
                raise KeyNotFoundError(
                    "The record has gone since it was listed", provider=self.name, key=stored.key
                )
            stored = found
        if stored.data is not MISSING:
            return stored.data
        return decode(stored.content, allow_pickle=self.allow_pickle)

    def encode(self, draft: Draft) -> Content:
        """The body to write for a draft."""
        return encode(draft.data, key=draft.key, format=draft.format, allow_pickle=self.allow_pickle)


class Writer(Protocol):
    """The two calls that change data."""

    def write(self, drafts: Sequence[Draft], *, overwrite: bool = True) -> list[StorageResult]:
        """See ``BaseStorageProvider.write``."""

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """See ``BaseStorageProvider.remove``."""


class CanQuery(BaseStorageProvider):
    """Lists its records and filters them natively as far as it can."""

    @abstractmethod
    def scan(self, request: Scan) -> Scanned:
        """Rows that include every match of ``request.where``."""

    def fill(self, rows: Sequence[Stored]) -> list[Stored | None]:
        """The rows with their bodies; ``None`` for a record that has gone. Here: they are read."""
        missing = [row.key for row in rows if row.body is None and row.data is MISSING]
        if not missing:
            return list(rows)
        found = dict(zip(missing, self.read(missing), strict=True))
        return [found.get(row.key, row) for row in rows]

    def query(self, filters: dict[str, Any], limit: int | None) -> list[Any]:
        """At most ``limit`` data values that match ``filters``; ``None`` = all."""
        found = select(self, Scan(parse(filters), limit=limit), datetime.now(UTC))
        return [self.load(row) for row in found.rows]


class CanSearch(BaseStorageProvider):
    """Finds the records whose vectors are nearest to a given one."""

    @property
    @abstractmethod
    def metric(self) -> str:
        """``"cosine"``, ``"dot"``, ``"euclid"`` or ``"manhattan"``."""

    @abstractmethod
    def nearest(self, vector: Any, where: Node, limit: int) -> Neighbours:
        """The ``limit`` nearest rows among a superset of the matches of ``where``."""

    @abstractmethod
    def embed(self, text: str) -> Any:
        """The vector of a text, by the embedding function the provider was given."""


class HasVectors(BaseStorageProvider):
    """Gives out the vectors of its records, as a map of them needs it."""

    @abstractmethod
    def sample_vectors(self, limit: int, seed: int) -> VectorSample:
        """``limit`` records, or all, chosen evenly and alike for the same seed."""

    @abstractmethod
    def vectors_of(self, keys: Sequence[str]) -> list[Any]:
        """The vectors under these keys, in order, ``None`` where there is none."""

    @abstractmethod
    def with_vector(self, name: str) -> Self:
        """The same connection with another of several vectors per record in mind."""


class CanStream(BaseStorageProvider):
    """Reads bodies piecewise, and writes drafts whose data is a file object or ``Path`` the same way."""

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """The body as a binary file object, for reading; a missing key raises ``KeyNotFoundError``."""


class CanPurge(BaseStorageProvider):
    """Reclaims the space of expired records on request."""

    @abstractmethod
    @changes
    def purge_expired(self) -> int:
        """Remove expired records; how many."""


class CanTransact(BaseStorageProvider):
    """Makes many calls one transaction of its backend: all of them or none, seen by nobody else before."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Self]:
        """This provider bound to a new transaction, which is committed at the end, and rolled back by an
        exception.

        A call that fails inside has changed nothing, and leaves the transaction usable. After the end the
        bound provider still reads, outside of it.

        Raises:
            StorageError: At the end: the backend refused to commit and has rolled back.
            TransactionError: At the end: it is not known whether it has committed.
        """

    @abstractmethod
    def joining(self, other: BaseStorageProvider) -> Self | None:
        """This provider in the transaction another one is bound to; ``None`` when that one is elsewhere."""


class HasForeign(BaseStorageProvider):
    """Holds what others wrote in forms of their own, which ``put`` would turn into records of ours."""

    @abstractmethod
    def dump(self, rows: Mapping[str, Stored | None]) -> dict[str, Stored]:
        """What others have under some keys, with bodies that only :meth:`restore` understands.

        Args:
            rows: What ``read`` found; ``None`` too where there is something that it cannot read.

        Raises:
            UnsupportedOperationError: It could not be put back as it is.
        """

    @abstractmethod
    @changes
    def restore(self, rows: Sequence[Stored], *, overwrite: bool) -> list[StorageResult]:
        """Put back what :meth:`dump` gave; one result each, in order."""


class HasCollections(BaseStorageProvider):
    """Is bound to one of several collections: directory, table, key prefix, Qdrant collection."""

    @property
    @abstractmethod
    def collection(self) -> str:
        """The collection this provider is bound to."""

    @abstractmethod
    def collections(self) -> list[str]:
        """The collections that are there."""

    @abstractmethod
    def in_collection(self, name: str) -> Self:
        """The same connection bound to another collection."""


class CanBrowse(BaseStorageProvider):
    """Shows what is there a page at a time, in places; see :mod:`praval_storage.places`.

    A provider that only is a ``CanQuery`` is shown as well: its keys as a tree with ``/`` between the parts,
    at the price of a scan for each page.
    """

    @abstractmethod
    def home(self) -> str:
        """Path of the place where the records of this provider are, those with no collection named."""

    @abstractmethod
    def look(self, request: Look) -> Seen:
        """One page of a place: one bounded piece of work, a place that is not there being empty.

        Walking all pages shows every record that stays as it is exactly once.
        """

    @abstractmethod
    def measure(self, path: str) -> Iterator[Measured]:
        """Count what is below a place, in pieces: running totals, the last one ``done``."""


_WORDS: dict[type[BaseStorageProvider], str] = {
    RecordProvider: "keep metadata and expiry",
    CanQuery: "query",
    CanSearch: "search by vector",
    HasVectors: "map its vectors",
    CanStream: "stream",
    CanPurge: "purge expired records",
    CanTransact: "transact",
    CanBrowse: "browse",
    HasForeign: "keep what others wrote as it is",
    HasCollections: "hold collections",
}


def _value(data: Any) -> Any:
    """What a provider that sees plain values is given: of a file its content."""
    is_file = isinstance(data, Path) or hasattr(data, "read")
    return encode(data).read() if is_file else data


def raise_failure(result: StorageResult) -> None:
    """Raise what a result reports; nothing when it reports success."""
    if result.success:
        return
    if isinstance(result.error, Exception):
        raise result.error
    raise StorageError(result.error or "The provider reported a failure without a reason")


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
            text = str(error) or type(error).__name__
            for secret in provider.secrets():
                text = text.replace(secret, "***")
            cure = next((cure for kind, cure in provider.cures.items() if isinstance(error, kind)), None)
            return ours(f"{type(error).__name__}: {text}", hint=cure)
    raise error
