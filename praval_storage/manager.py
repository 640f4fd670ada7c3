"""``DataManager``: the one public door to every provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from praval_storage import looking, overview, preview, writing
from praval_storage.base import BaseStorageProvider, CanPurge
from praval_storage.diagnosis import DoctorReport
from praval_storage.doctor import examine
from praval_storage.operations import Operations
from praval_storage.optional import library
from praval_storage.places import Look, Measured, Seen
from praval_storage.provider_calls import HealthReport, Statistics
from praval_storage.provider_set import ProviderSet
from praval_storage.registry import make_provider
from praval_storage.transaction import Transaction
from praval_storage.writing import Reference, Target

if TYPE_CHECKING:
    from praval_storage.mapping import VectorMap


class DataManager(Operations):
    """Stores, finds, queries, searches and moves records on any number of providers.

    Everything that takes a reference also takes its URI; ``collection=`` reaches another directory, table,
    prefix or collection than the provider's own. Failures are raised as ``StorageError``. Safe to use from
    several threads.

    Args:
        providers: Providers by storage type; :func:`praval_storage.get_data_manager` has one with defaults.
        read_only: Refuse to change anything, with ``StoragePermissionError`` before anything is sent or made.
    """

    def __init__(
        self, providers: Mapping[str, BaseStorageProvider] | None = None, *, read_only: bool = False
    ) -> None:
        self._providers = ProviderSet(read_only=read_only)
        looking.known_to_ipython(type(self), looking.ProviderView)
        for name, provider in (providers or {}).items():
            self._providers.register(name, provider)

    @property
    def providers(self) -> ProviderSet:
        """The registered providers by storage type; each is made when it is first looked at.

        One that is registered read-only is a view of the provider, with the same class, connections and
        methods, of which those that change something refuse.
        """
        return self._providers

    def register_provider(
        self,
        name: str,
        provider: BaseStorageProvider | Callable[[], BaseStorageProvider] | Mapping[str, Any] | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        """Make a provider available as a storage type.

        A provider that was registered under the name is closed and replaced.

        Args:
            name: The storage type.
            provider: The provider, or a function that makes it when it is first needed. Of a provider that
                is built in, or that an installed package offers under this name: its settings, or nothing
                for those that environment variables say.
            read_only: Refuse to change anything through this manager; who has the provider itself may.

        Raises:
            ConfigurationError: The name or a setting is not legal, or the package that offers the provider
                is broken.
            ProviderNotRegisteredError: No provider of this name is installed.
        """
        if provider is None or (
            isinstance(provider, Mapping) and not isinstance(provider, BaseStorageProvider)
        ):
            provider = make_provider(name, provider, self._providers.environ)
        self._providers.register(name, provider, read_only=read_only)

    def unregister_provider(self, name: str) -> None:
        """Close and forget a provider. Its data stays where it is."""
        self._providers.unregister(name)

    def transaction(self) -> Transaction:
        """Several writes of which all stay or none: ``with dm.transaction() as tx: tx.store(...)``.

        Only what is done through ``tx`` takes part. See :class:`~praval_storage.transaction.Transaction`.
        """
        return Transaction(self._providers)

    def look(self, storage_type: str, request: Look) -> Seen:
        """One page of what a provider holds: places and rows; see :mod:`praval_storage.places`."""
        return looking.look(self._providers, storage_type, request)

    def measure(self, storage_type: str, path: str = "") -> Iterator[Measured]:
        """Count what is below a place: running totals, the last one ``done``. Stop taking them to cancel."""
        return looking.measure(self._providers, storage_type, path)

    def ls(
        self,
        where: str = "",
        path: str = "",
        *,
        text: str = "",
        filters: Mapping[str, Any] | None = None,
        limit: int = 100,
        order_by: str | None = None,
        delimiter: str | None = None,
    ) -> looking.Listed:
        """One page of what is somewhere: places, then references to the records directly there.

        Args:
            where: ``"s3"``, ``"s3://lab/reports/"``, ``"postgresql://sales.customers"``,
                ``"praval://s3/reports/"`` for the keys of the provider's own; nothing for all providers. The
                address of a record lists it.
            path: The rest of it.
            text: Only names that contain this.
            filters: Only records that match, as in :meth:`query`.
            limit: Entries on the page, 1,000 at most; ``.more()`` of the result is the next page.
            order_by: As in :meth:`query`, where the backend can.
            delimiter: What ends a prefix, where that can be chosen, which is in Redis: ``"/"`` for
                ``":"``.

        Raises:
            UnsupportedOperationError: The provider has no such choice.
        """
        place = looking.where(self._providers, where, path)
        return looking.ls(self._providers, place, text, filters, limit, order_by, delimiter)

    @overload
    def tree(
        self, where: str = "", *, depth: int = 2, plain: Literal[False] = False, delimiter: str | None = None
    ) -> looking.Tree: ...
    @overload
    def tree(
        self, where: str = "", *, depth: int = 2, plain: Literal[True], delimiter: str | None = None
    ) -> str: ...
    def tree(
        self, where: str = "", *, depth: int = 2, plain: bool = False, delimiter: str | None = None
    ) -> looking.Tree | str:
        """What is where, ``depth`` levels deep, with the first entries of each place.

        A provider that cannot be reached is shown with the reason.

        Args:
            where: As in :meth:`ls`.
            depth: Levels of places and records that are shown.
            plain: Text alone, for logs and language models.
            delimiter: As in :meth:`ls`; a provider without the choice is shown with that reason.
        """
        found = looking.tree(self._providers, looking.where(self._providers, where), depth, delimiter)
        return str(found) if plain else found

    def __getitem__(self, storage_type: str) -> looking.ProviderView:
        retrieve = partial(self.retrieve_by_key, storage_type)
        exists = partial(self.exists_by_key, storage_type)
        return looking.ProviderView(self._providers, storage_type, retrieve, exists)

    def __contains__(self, storage_type: object) -> bool:
        return storage_type in self._providers

    def __iter__(self) -> Iterator[str]:
        return iter(self._providers)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._providers)

    def preview(
        self,
        reference: Reference,
        *,
        neighbours: int = 5,
        in_full: bool = False,
        as_: str | None = None,
    ) -> preview.Preview:
        """What can be seen of a record: its kind, what is known of it, and its beginning.

        Reads a megabyte of a large object at most, where the provider reads by range, or up to 16 MB for an
        image or what a Parquet file begins with. What cannot be decoded is shown as hex, with the reason.
        Pickles are never loaded, whatever the provider allows.

        Args:
            reference: A reference or its URI.
            neighbours: How many of the nearest records of one with a vector are searched for.
            in_full: Up to 16 MB of a text or body, and 1,000 rows of a table.
            as_: Show the body as ``"text"``, ``"json"``, ``"hex"``, ``"float32"`` or ``"float64"`` (vectors
                of little-endian numbers) instead of what it was stored as; as hex, with the reason, where
                it is none such. Without a search for neighbours.

        Raises:
            KeyNotFoundError: There is no such record, or it has expired.
            ConfigurationError: There is no such format.
        """
        named = writing.named(reference)
        return preview.preview(self._providers, named, neighbours, in_full=in_full, as_=as_)

    def vector_map(
        self,
        storage_type: str,
        colour: str | None = None,
        *,
        filters: Mapping[str, Any] | None = None,
        sample: int = 2_000,
        collection: str | None = None,
        vector: str | None = None,
        seed: int = 0,
    ) -> VectorMap:
        """The records of a collection as points of a plane, near where their vectors are near.

        The plane is that of the first two principal components; ``.explained`` says which share of the
        variance it shows, which for embeddings is often little.

        Args:
            storage_type: Name of a provider that gives out vectors.
            colour: Path of the field that gives the points their colours.
            filters: Only records that match, as in :meth:`query`.
            sample: At most so many points, up to 20,000, chosen evenly.
            collection: Another collection than the provider's own.
            vector: Which of several vectors of a record; by default the provider's, else the first by name.
            seed: Another one gives another sample.

        Raises:
            ConfigurationError: There is no such vector, or no record has the field.
        """
        target = Target(storage_type, collection)
        # NumPy comes with the providers that have vectors, and takes a while to import.
        mapping = library("praval_storage.mapping", "qdrant")
        wish = mapping.Wish(colour, filters, sample, vector, seed)
        found: VectorMap = mapping.vector_map(self._providers, target, wish)
        return found

    def browse(
        self,
        path: str = "",
        *,
        read_only: bool = False,
        static: bool = False,
        page_size: int = 25,
        delimiter: str = "",
    ) -> Any:
        """Look around in all providers: a tree, the rows of a place, and what is in a record.

        A widget with the extra ``praval_storage[jupyter]``; else, or with ``static``, plain Python with the
        same attributes and methods that shows itself as a table (see :mod:`praval_storage.jupyter`).

        Args:
            path: Where to begin: ``"s3"``, ``"s3/reports/2026/"``.
            read_only: Whether nothing may be deleted.
            static: No widget; every question is then asked at once, by the caller.
            page_size: Rows and places on a page, 1 to 1 000.
            delimiter: What ends a prefix in the provider of ``path``, as in :meth:`ls`; ``""`` = its own.
        """
        jupyter = import_module("praval_storage.jupyter")
        return jupyter.browse(
            self, path, read_only=read_only, static=static, page_size=page_size, delimiter=delimiter
        )

    def health(self, storage_type: str | None = None) -> HealthReport:
        """Reach each provider, or one, once: ``{name: Health(status, detail, seconds)}``. Raises nothing."""
        names = [*self._providers] if storage_type is None else [storage_type]
        return HealthReport({name: self._providers.health(name) for name in names})

    def doctor(self, *, timeout: float = 30.0) -> DoctorReport:
        """What is the matter with each provider, where its settings came from, and what to do.

        All are asked at once. Nothing that is stored is changed, and no secret is told.

        Args:
            timeout: Seconds until a provider that exceeds its own time limits is given up.

        Returns:
            ``{name: Diagnosis}``; shows as a summary, and in full with ``print``.
        """
        return examine(self._providers, timeout)

    def purge_expired(self, storage_type: str | None = None) -> dict[str, int]:
        """Reclaim the space of expired records where the backend does not: how many, by provider.

        Without ``storage_type`` providers that are registered read-only are left out.
        """
        names = self._changeable() if storage_type is None else [storage_type]
        for name in names:
            self._providers.check_writable(name, "purge_expired")
        able = {name: provider for name in names if isinstance(provider := self._providers[name], CanPurge)}
        return {
            name: self._providers.call(name, "purge_expired", None, able[name].purge_expired) for name in able
        }

    def statistics(self) -> dict[tuple[str, str], Statistics]:
        """Calls, failures and seconds by (storage type, operation) since the manager was made."""
        return self._providers.statistics()

    def close(self) -> None:
        """Let go of connections and files. The manager can be used again afterwards."""
        self._providers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return overview.text(self._providers, self._title)

    def _repr_html_(self) -> str:
        return overview.html(self._providers, self._title)

    @property
    def _title(self) -> str:
        return "DataManager, read-only" if self._providers.read_only else "DataManager"

    def _changeable(self) -> list[str]:
        """All providers but those that are read-only while others are not."""
        if self._providers.read_only:
            return [*self._providers]
        return [name for name in self._providers if not self._providers.is_read_only(name)]
