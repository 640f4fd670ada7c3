"""The read side of the manager: queries, listings and searches, on providers of every degree of ability."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path as FilePath
from sys import maxsize
from time import perf_counter
from typing import Any, BinaryIO

from praval_storage.base import BaseStorageProvider, CanQuery, CanSearch, HasVectors, boundary
from praval_storage.errors import (
    ConfigurationError,
    KeyNotFoundError,
    StorageError,
    UnsupportedOperationError,
)
from praval_storage.filters import EVERYTHING, Compare, Node, Path, parse, parse_order
from praval_storage.keys import new_key
from praval_storage.provider_set import ProviderSet
from praval_storage.records import Stored
from praval_storage.results import Listing, Outcome, QueryResult, SearchResult
from praval_storage.scan import Plan, Scan
from praval_storage.selection import SearchSelection, Selection, search, select, stream
from praval_storage.writing import Target

Filters = Mapping[str, Any] | None
Into = str | FilePath | BinaryIO
CHUNK_BYTES = 1 << 20


def query(
    providers: ProviderSet, target: Target, filters: Filters, limit: int | None, order_by: str | None
) -> QueryResult:
    """The records that match, at most ``limit``."""
    request = Scan(parse(filters), parse_order(order_by), _limit(limit))
    provider = providers.find(*target)

    def work() -> Selection:
        if isinstance(provider, CanQuery):
            return select(provider, request, datetime.now(UTC))
        return _own_query(providers, target, request)

    found = providers.call(target.storage_type, "query", None, work)
    return QueryResult(
        found.rows,
        _Later(providers, target),
        **_origin(target, found, limit),
    )


def loaded(provider: BaseStorageProvider, key: str, stored: Stored | None) -> Outcome:
    """The outcome of reading one record of a batch."""
    try:
        with boundary(provider, "retrieve_many", key):
            if stored is None:
                raise KeyNotFoundError(f"No record under {key!r}")
            return Outcome(key, provider.load(stored), None)
    except StorageError as error:
        return Outcome(key, None, error)


def iter_query(
    providers: ProviderSet, target: Target, filters: Filters, batch_size: int, order_by: str | None
) -> Iterator[QueryResult]:
    """Every record that matches, in results of ``batch_size``, read on while they are taken."""
    _check_positive(batch_size, "batch_size")
    request = Scan(parse(filters), parse_order(order_by))
    provider = providers.require(target.storage_type, CanQuery, "stream a query", target.collection)
    return _batches(providers, provider, target, request, batch_size)


def listing(
    providers: ProviderSet, target: Target, prefix: str, limit: int | None, order_by: str | None
) -> Listing:
    """References to the records whose key starts with ``prefix``."""
    where: Node = Compare(Path("key"), "prefix", prefix) if prefix else EVERYTHING
    provider = providers.require(target.storage_type, CanQuery, "list its records", target.collection)
    request = Scan(where, parse_order(order_by), _limit(limit), bodies=False)
    found = providers.call(
        target.storage_type, "list", None, lambda: select(provider, request, datetime.now(UTC))
    )
    return Listing(
        found.rows,
        _Later(providers, target),
        **_origin(target, found, limit),
    )


def nearest(
    providers: ProviderSet,
    target: Target,
    query_vector: Any,
    limit: int,
    filters: Filters,
    query_text: str | None,
    vector_name: str | None = None,
) -> SearchResult:
    """The records whose vectors are nearest to a vector or an embedded text."""
    where = parse(filters)
    if (query_vector is None) == (query_text is None):
        raise ConfigurationError("search needs either query_vector or query_text")
    _check_positive(limit, "The limit of a search")
    provider = providers.require(target.storage_type, CanSearch, "search by vector", target.collection)
    if vector_name is not None:
        provider = _by(vector_name, providers, target, provider)

    def work() -> SearchResult:
        vector = provider.embed(query_text) if query_text is not None else query_vector
        found = search(provider, vector, where, limit, datetime.now(UTC))
        return SearchResult(
            found.rows,
            _Later(providers, target),
            **_origin(target, found, limit),
            metric=provider.metric,
            vector_name=vector_name,
        )

    return providers.call(target.storage_type, "search", None, work)


def _by(name: str, providers: ProviderSet, target: Target, provider: CanSearch) -> CanSearch:
    """The same provider with one of several vectors per record in mind."""
    given: object = name  # notebooks are not type-checked
    if not isinstance(given, str):
        raise ConfigurationError(
            f"vector_name is the name of a vector, not {type(given).__name__}",
            hint="The numbers to look for are the query_vector",
        )
    if isinstance(provider, HasVectors):
        return provider.with_vector(name)
    providers.require(target.storage_type, HasVectors, "choose among vectors", target.collection)
    return provider


def save(provider: BaseStorageProvider, key: str, source: BinaryIO, into: Into) -> Into:
    """Copy a body piecewise to a path, which gets it whole or not at all, or to a binary file object."""
    with _target(into) as target:
        while True:
            with boundary(provider, "retrieve", key):
                chunk = source.read(CHUNK_BYTES)
            if not chunk:
                return into
            target.write(chunk)


@contextmanager
def _target(into: Into) -> Iterator[BinaryIO]:
    if not isinstance(into, str | FilePath):
        yield into
        return
    path = FilePath(into)
    temporary = path.with_name(f".{path.name[:200]}.{new_key()}.tmp")
    try:
        with temporary.open("xb") as target:
            yield target
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _origin(target: Target, found: Selection | SearchSelection, limit: int | None) -> dict[str, Any]:
    """What every kind of result is told of where it comes from."""
    return {
        "storage_type": target.storage_type,
        "collection": target.collection,
        "truncated": found.truncated,
        "limit": limit,
        "plan": found.plan,
    }


class _Later:
    """The source of a result: what it still fetches and decodes fails like any other call.

    Attributes:
        providers: Where the result came from.
    """

    def __init__(self, providers: ProviderSet, target: Target) -> None:
        self.providers = providers
        self._target = target

    def load(self, stored: Stored) -> Any:
        """The value of a row."""
        provider = self.providers.find(*self._target)
        with boundary(provider, "retrieve", stored.key):
            return provider.load(stored)

    def fill(self, rows: Sequence[Stored]) -> list[Stored | None]:
        """The rows with their bodies."""
        provider = self.providers.require(
            self._target.storage_type, CanQuery, "fetch", self._target.collection
        )
        return self.providers.call(self._target.storage_type, "fetch", None, lambda: provider.fill(rows))

    def __reduce__(self) -> tuple[Any, ...]:
        """Elsewhere a result reads through its provider alone, which is made of its settings."""
        return _elsewhere, (self.providers.find(*self._target), self._target)


def _elsewhere(provider: BaseStorageProvider, target: Target) -> _Later:
    providers = ProviderSet()
    providers.register(target.storage_type, provider)
    return _Later(providers, Target(target.storage_type))


def _own_query(providers: ProviderSet, target: Target, request: Scan) -> Selection:
    """The answer of a provider that has nothing but the guide's ``query`` method: bare values, no keys."""
    provider = providers.find(*target)
    if type(provider).query is BaseStorageProvider.query:
        providers.require(target.storage_type, CanQuery, "be queried", target.collection)
    if request.order is not None:
        raise UnsupportedOperationError(
            "This provider's query() returns values without keys, so they cannot be ordered",
            hint="Sort the values, or let the provider subclass CanQuery",
        )
    started = perf_counter()
    wanted = maxsize if request.limit is None else request.limit + 1
    values = list(islice(provider.query(request.where.to_filters(), wanted), wanted))
    rows = [Stored("", "object", data=value) for value in values[: request.limit]]
    plan = Plan(request.where.to_filters(), {}, len(values), len(rows), seconds=perf_counter() - started)
    return Selection(rows, len(values) > len(rows), plan)


def _batches(
    providers: ProviderSet, provider: CanQuery, target: Target, request: Scan, batch_size: int
) -> Iterator[QueryResult]:
    name = target.storage_type
    now = datetime.now(UTC)
    rows, tally = providers.call(name, "iter_query", None, lambda: stream(provider, request, now))
    while batch := providers.call(
        name, "iter_query", None, lambda: list(islice(rows, batch_size)), again=False
    ):
        unreadable = tuple(tally.unreadable)
        tally.unreadable.clear()  # the same list as what still adds to it has
        plan = Plan({}, request.where.to_filters(), tally.rows, len(batch), unreadable=unreadable)
        found = Selection(batch, False, plan)
        yield QueryResult(batch, _Later(providers, target), **_origin(target, found, None))


def _limit(limit: int | None) -> int | None:
    if limit is None:
        return None
    if not _is_from(0, limit):
        raise ConfigurationError(f"limit must be an int >= 0 or None for all, not {limit!r}")
    return int(limit)


def _check_positive(number: object, what: str) -> None:
    if not _is_from(1, number):
        raise ConfigurationError(f"{what} must be an int >= 1, not {number!r}")


def _is_from(least: int, number: Any) -> bool:
    """Whether it is an integer of any library, and large enough."""
    return not isinstance(number, bool) and hasattr(number, "__index__") and int(number) >= least
