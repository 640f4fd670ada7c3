"""``Operations``: what a data manager and a transaction have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any, BinaryIO, TypeVar, overload

from praval_storage import batches, copying, reading, writing
from praval_storage.base import BaseStorageProvider, CanStream, RecordProvider
from praval_storage.errors import KeyNotFoundError
from praval_storage.provider_set import ProviderSet
from praval_storage.records import MISSING
from praval_storage.reference import DataReference
from praval_storage.results import BatchResult, Listing, Outcome, QueryResult, SearchResult
from praval_storage.writing import Incoming, Lifetime, Reference, Target

T = TypeVar("T")
Filters = Mapping[str, Any] | None


class Operations:
    """Everything that is done with records, over the providers of a set."""

    _providers: ProviderSet

    def store(
        self,
        data: Any,
        storage_type: str,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        ttl: Lifetime = None,
        overwrite: bool = True,
        format: str | None = None,
        collection: str | None = None,
    ) -> DataReference:
        """Store a value, replacing what the key held before.

        Args:
            data: Any storable value. A ``Path`` or binary file object stands for its content and is streamed
                where the provider can.
            storage_type: Name of the provider.
            key: Key of the record; a time-sortable unique one is made when ``None``.
            metadata: JSON object kept with the data; filters reach it as ``metadata.<field>``.
            ttl: Seconds (or ``timedelta``) from now after which the record ceases to exist;
                ``metadata["ttl"]`` means the same.
            overwrite: Whether an existing key is replaced.
            format: Stored format, for example ``"csv"``; by default the key's suffix, else the type, decides.
            collection: Another collection than the provider's own.

        Raises:
            KeyExistsError: The key exists and ``overwrite`` is false.
            SerializationError: The data cannot be stored without losing something.
        """
        draft = writing.make_draft(Incoming(key, data, metadata), ttl, format)
        return writing.store_one(
            self._providers, Target(storage_type, collection), draft, overwrite=overwrite
        )

    def store_many(
        self,
        data: Iterable[Any] | Mapping[str, Any],
        storage_type: str,
        keys: Iterable[str | None] | None = None,
        metadata: Mapping[str, Any] | Iterable[Mapping[str, Any] | None] | None = None,
        *,
        ttl: Lifetime = None,
        overwrite: bool = True,
        format: str | None = None,
        collection: str | None = None,
    ) -> BatchResult:
        """Store many values; a failing one does not stop the others.

        Args:
            data: Values, or a mapping of key to value; may be a generator.
            storage_type: Name of the provider.
            keys: One key for each value, ``None`` where one is to be made.
            metadata: One mapping for all, or one for each value.
            ttl: As in :meth:`store`, the same for all.
            overwrite: As in :meth:`store`.
            format: As in :meth:`store`.
            collection: As in :meth:`store`.

        Returns:
            One outcome for each value, in order: its reference, or the error.
        """
        items = batches.incoming(data, keys, metadata)
        target = Target(storage_type, collection)
        return BatchResult(
            batches.store_many(self._providers, target, items, ttl, overwrite=overwrite, format=format)
        )

    def retrieve(
        self, reference: Reference, *, default: Any = MISSING, into: reading.Into | None = None
    ) -> Any:
        """The value a reference names.

        Args:
            reference: A reference or its URI.
            default: Returned instead of raising when there is no such record.
            into: A path or binary file object that takes the stored body as it is, piecewise where the
                provider can; ``into`` is then returned.

        Raises:
            KeyNotFoundError: There is no such record, or it has expired.
        """
        name, provider = self._resolve(reference)
        try:
            if into is not None:
                with self.open(name) as source:
                    return reading.save(provider, name.key, source, into)
            return self._call(name, "retrieve", lambda: provider.load(writing.present(provider, name.key)))
        except KeyNotFoundError:
            if default is MISSING:
                raise
            return default

    def retrieve_by_key(
        self, storage_type: str, key: str, *, default: Any = MISSING, collection: str | None = None
    ) -> Any:
        """The value under a key; see :meth:`retrieve`."""
        return self.retrieve(DataReference(storage_type, key, collection=collection), default=default)

    def retrieve_many(self, references: Iterable[Reference]) -> BatchResult:
        """The values of many references, over any providers: one outcome each, in order."""

        def work(target: Target, keys: list[str]) -> list[Outcome]:
            provider = self._providers.find(*target)
            return [
                reading.loaded(provider, key, stored)
                for key, stored in zip(keys, provider.read(keys), strict=True)
            ]

        return BatchResult(batches.for_each(self._providers, "retrieve_many", references, work))

    def open(self, reference: Reference) -> BinaryIO:
        """The stored body as a binary file object; from memory where the provider cannot stream."""
        name, provider = self._resolve(reference)

        def work() -> BinaryIO:
            if isinstance(provider, CanStream):
                return provider.open(name.key)
            self._providers.require(name.storage_type, RecordProvider, "give out a body", name.collection)
            return BytesIO(writing.present(provider, name.key).content.read())

        return self._call(name, "open", work)

    def exists(self, reference: Reference) -> bool:
        """Whether there is such a record (and it has not expired)."""
        name, provider = self._resolve(reference)
        return self._call(name, "exists", lambda: provider.read([name.key], bodies=False) != [None])

    def exists_by_key(self, storage_type: str, key: str, *, collection: str | None = None) -> bool:
        """Whether there is a record under a key; see :meth:`exists`."""
        return self.exists(DataReference(storage_type, key, collection=collection))

    def delete(self, reference: Reference) -> bool:
        """Remove a record; ``False`` when there was none."""
        name = writing.named(reference)
        self._providers.check_writable(name.storage_type, "delete", name.key)
        writer = self._providers.writer(name.storage_type, name.collection)
        return self._call(name, "delete", lambda: writer.remove([name.key])[0])

    def delete_by_key(self, storage_type: str, key: str, *, collection: str | None = None) -> bool:
        """Remove the record under a key; see :meth:`delete`."""
        return self.delete(DataReference(storage_type, key, collection=collection))

    def delete_many(self, references: Iterable[Reference]) -> BatchResult:
        """Remove many records, over any providers: one outcome each, in order; was it there?"""
        return BatchResult(batches.delete_many(self._providers, references))

    def query(
        self,
        storage_type: str,
        filters: Filters = None,
        limit: int | None = 100,
        *,
        order_by: str | None = None,
        collection: str | None = None,
    ) -> QueryResult:
        """The records that match a filter, as a list of their data that also makes frames.

        Args:
            storage_type: Name of the provider.
            filters: Path to value, or to ``{operator: operand}``, as in
                ``{"metadata.kind": "login", "n": {"$gt": 3}}``. Operators and their meaning are MongoDB's
                (https://www.mongodb.com/docs/manual/reference/operator/query/).
            limit: At most so many; ``None`` = all. ``result.truncated`` says whether it cut any off.
            order_by: ``"key"``, ``"created_at"`` or any path, ``"-"`` before it for descending, ties by key.
                Without it the order is the backend's cheapest.
            collection: Another collection than the provider's own.

        Raises:
            InvalidFilterError: Unknown operator or operand of the wrong shape; nothing was read.
        """
        return reading.query(self._providers, Target(storage_type, collection), filters, limit, order_by)

    def iter_query(
        self,
        storage_type: str,
        filters: Filters = None,
        *,
        batch_size: int = 1_000,
        order_by: str | None = None,
        collection: str | None = None,
    ) -> Iterator[QueryResult]:
        """Every match, in results of ``batch_size``; at flat memory unless an order is asked for."""
        target = Target(storage_type, collection)
        return reading.iter_query(self._providers, target, filters, batch_size, order_by)

    def list(
        self,
        storage_type: str,
        prefix: str = "",
        limit: int | None = 100,
        *,
        order_by: str | None = None,
        collection: str | None = None,
    ) -> Listing:
        """References to the records whose key starts with ``prefix``; no data is fetched."""
        return reading.listing(self._providers, Target(storage_type, collection), prefix, limit, order_by)

    def search(
        self,
        storage_type: str,
        query_vector: Any = None,
        limit: int = 10,
        filters: Filters = None,
        *,
        query_text: str | None = None,
        vector_name: str | None = None,
        collection: str | None = None,
    ) -> SearchResult:
        """The records whose vectors are nearest, as ``(data, score)`` tuples, best first, ties by key.

        Args:
            storage_type: Name of a provider that searches.
            query_vector: Sequence or array of floats, as long as the stored vectors.
            limit: At most so many.
            filters: As in :meth:`query`; only records that match are searched.
            query_text: Instead of a vector, for a provider that was given an embedding function.
            vector_name: Which of several vectors of a record is compared; by default the provider's, else the
                only one there is.
            collection: Another collection than the provider's own.

        Returns:
            Scores are higher for better matches on every metric: the similarity for cosine and dot,
            ``1 / (1 + distance)`` for Euclidean and Manhattan; ``.distances`` has the engine's own values.
        """
        target = Target(storage_type, collection)
        return reading.nearest(self._providers, target, query_vector, limit, filters, query_text, vector_name)

    @overload
    def copy(  # type: ignore[overload-overlap]  # a URI is a str and so an iterable, but one reference
        self,
        source: Reference,
        to: str,
        *,
        key: copying.Keys = None,
        collection: str | None = None,
        overwrite: bool = True,
        progress: copying.Progress = False,
    ) -> DataReference: ...
    @overload
    def copy(
        self,
        source: copying.Source,
        to: str,
        *,
        key: copying.Keys = None,
        collection: str | None = None,
        overwrite: bool = True,
        progress: copying.Progress = False,
    ) -> BatchResult: ...
    def copy(
        self,
        source: copying.Source,
        to: str,
        *,
        key: copying.Keys = None,
        collection: str | None = None,
        overwrite: bool = True,
        progress: copying.Progress = False,
    ) -> DataReference | BatchResult:
        """Copy records with their types, format, metadata, ``created_at`` and expiry, as files byte for byte.

        Every copy is read back and compared with what was sent. A record that is there already with the same
        data, types, metadata and expiry is not written again, so a copy that was interrupted is finished by
        the same call. Many records go in bulk calls, and bodies beyond 8 MiB in pieces where both providers
        can; a record that fails does not stop the others.

        Args:
            source: A reference, its URI, any number of these, or a result. Of a result that its limit cut
                off only what is in it is copied, with a ``UserWarning``.
            to: Storage type of the copies; may be the same.
            key: Key of the copy, or a function that makes it of the reference; by default the same.
            collection: Collection of the copies.
            overwrite: Whether existing keys are replaced. If not, one that holds something else is a
                ``KeyExistsError``.
            progress: ``True`` for a line on stderr, or a function of how many records are done and how many
                there are, called after each step.

        Returns:
            The reference of the copy, or one outcome for each of many, in order: its reference, or the error.

        Raises:
            StorageError: A single copy failed, or is not what was sent.
        """
        job = copying.Job(Target(to, collection), overwrite, moving=False)
        return copying.copy(self._providers, job, source, key, progress)

    @overload
    def move(  # type: ignore[overload-overlap]  # as in copy
        self,
        source: Reference,
        to: str,
        *,
        key: copying.Keys = None,
        collection: str | None = None,
        overwrite: bool = True,
        progress: copying.Progress = False,
    ) -> DataReference: ...
    @overload
    def move(
        self,
        source: copying.Source,
        to: str,
        *,
        key: copying.Keys = None,
        collection: str | None = None,
        overwrite: bool = True,
        progress: copying.Progress = False,
    ) -> BatchResult: ...
    def move(
        self,
        source: copying.Source,
        to: str,
        *,
        key: copying.Keys = None,
        collection: str | None = None,
        overwrite: bool = True,
        progress: copying.Progress = False,
    ) -> DataReference | BatchResult:
        """:meth:`copy`, then delete each original whose copy was checked.

        An original that was stored anew meanwhile stays, and so does a record that is moved onto itself. Of
        those who move one record at the same moment, one succeeds; the others get ``KeyNotFoundError``, and
        what they had copied by then stays. (S3 does not say whether a deletion found anything: there two
        may succeed.)
        """
        job = copying.Job(Target(to, collection), overwrite, moving=True)
        return copying.copy(self._providers, job, source, key, progress)

    def _resolve(self, reference: Reference) -> tuple[DataReference, BaseStorageProvider]:
        name = writing.named(reference)
        return name, self._providers.find(name.storage_type, name.collection)

    def _call(self, name: DataReference, operation: str, work: Callable[[], T]) -> T:
        return self._providers.call(name.storage_type, operation, name.key, work)
