"""What a provider can do beyond storing: a class with a hook or two for each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, BinaryIO, Protocol, Self

from praval_storage.base.items import StorageResult
from praval_storage.base.marks import changes
from praval_storage.base.provider import BaseStorageProvider
from praval_storage.filters import Node, parse
from praval_storage.places import Look, Measured, Seen
from praval_storage.records import MISSING, Draft, Stored
from praval_storage.sampling import VectorSample
from praval_storage.scan import Neighbours, Scan, Scanned
from praval_storage.selection import select


class Writer(Protocol):
    """The two calls that change data."""

    def write(self, drafts: Sequence[Draft], *, overwrite: bool = True) -> list[StorageResult]:
        """See ``BaseStorageProvider.write``."""

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """See ``BaseStorageProvider.remove``."""


class CanQuery(BaseStorageProvider):
    """Lists its records and filters them natively as far as it can."""

    ability = "query"

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

    ability = "search by vector"

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

    ability = "map its vectors"

    @abstractmethod
    def sample_vectors(self, limit: int, seed: int, keys: Sequence[str] | None = None) -> VectorSample:
        """``limit`` records, or all, chosen evenly and alike for the same seed.

        Args:
            limit: At most so many.
            seed: Another one gives another sample.
            keys: The records to choose from; ``None`` = all there are.
        """

    @abstractmethod
    def vectors_of(self, keys: Sequence[str]) -> list[Any]:
        """The vectors under these keys, in order, ``None`` where there is none."""

    @abstractmethod
    def with_vector(self, name: str) -> Self:
        """The same connection with another of several vectors per record in mind."""


class CanStream(BaseStorageProvider):
    """Reads bodies piecewise, and writes drafts whose data is a file object or ``Path`` the same way."""

    ability = "stream"

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """The body as a binary file object, for reading; a missing key raises ``KeyNotFoundError``."""


class CanPurge(BaseStorageProvider):
    """Reclaims the space of expired records on request."""

    ability = "purge expired records"

    @abstractmethod
    @changes
    def purge_expired(self) -> int:
        """Remove expired records; how many."""


class HasVersions(BaseStorageProvider):
    """May keep what is overwritten and deleted, as a versioned bucket does."""

    ability = "keep versions"

    @abstractmethod
    def keeps_versions(self) -> bool:
        """Whether a deletion only adds a delete marker, with all that was stored still below it."""


class CanTransact(BaseStorageProvider):
    """Makes many calls one transaction of its backend: all of them or none, seen by nobody else before."""

    ability = "transact"

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

    ability = "keep what others wrote as it is"

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

    ability = "hold collections"

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

    ability = "browse"

    @abstractmethod
    def home(self) -> str:
        """Path of the place where the records of this provider are, those with no collection named."""

    def place_of(self, keys: str) -> str | None:
        """Path of the place of this provider's own keys that begin so; ``None`` = no place is just those."""
        return self.home() + keys

    def key_at(self, path: str) -> tuple[str | None, str]:
        """The collection (``None`` = the provider's own) and the key of a path; ``""`` = no record has it."""
        return None, path if self.place_of(path) == path else ""

    @abstractmethod
    def look(self, request: Look) -> Seen:
        """One page of a place: one bounded piece of work, a place that is not there being empty.

        Walking all pages shows every record that stays as it is exactly once.
        """

    @abstractmethod
    def measure(self, path: str) -> Iterator[Measured]:
        """Count what is below a place, in pieces: running totals, the last one ``done``."""
