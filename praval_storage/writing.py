"""The write side of the manager: drafts, single writes, batches and copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice, repeat
from numbers import Real
from typing import Any, NamedTuple

from praval_storage.base import BaseStorageProvider, RecordProvider, StorageResult, boundary, raise_failure
from praval_storage.errors import (
    ConfigurationError,
    InvalidKeyError,
    KeyNotFoundError,
    StorageConnectionError,
    StorageError,
)
from praval_storage.keys import new_key, validate_key
from praval_storage.provider_set import ProviderSet
from praval_storage.records import MISSING, Draft, Stored
from praval_storage.reference import DataReference
from praval_storage.results import Outcome
from praval_storage.serialization import decode_metadata

CHUNK = 1_000
"""Records per backend call of a batch: memory stays flat however long the input is."""

Metadata = Mapping[str, Any]
Lifetime = float | timedelta | None
Reference = DataReference | str


class Target(NamedTuple):
    """A storage type, and a collection when it is not the provider's own."""

    storage_type: str
    collection: str | None = None


class Incoming(NamedTuple):
    """One item of a batch before anything was checked."""

    key: str | None
    data: Any
    metadata: Metadata | None


def make_draft(incoming: Incoming, ttl: Lifetime, format: str | None) -> Draft:
    """A record about to be written, its key, metadata and time to live checked."""
    key, data, metadata = incoming
    if not isinstance(metadata, Mapping | None):
        raise ConfigurationError(f"metadata must be a mapping, not {type(metadata).__name__}")
    now = datetime.now(UTC)
    expires_at = _expiry((metadata or {}).get("ttl") if ttl is None else ttl, now)
    return Draft(
        new_key() if key is None else validate_key(key),
        data,
        metadata or {},
        now,
        expires_at,
        format,
    )


def store_one(
    providers: ProviderSet, target: Target, draft: Draft, *, overwrite: bool, operation: str = "store"
) -> DataReference:
    """Write one record; what fails is raised."""
    provider = providers.find(*target)

    def work() -> StorageResult:
        [result] = provider.write([draft], overwrite=overwrite)
        raise_failure(result)
        return result

    result = providers.call(target.storage_type, operation, draft.key, work, again=overwrite)
    return _reference(target, draft, result)


def copy_one(
    providers: ProviderSet, source: DataReference, target: Target, key: str | None, *, overwrite: bool
) -> DataReference:
    """Write a copy that keeps metadata, ``created_at``, expiry and format."""
    provider = providers.find(source.storage_type, source.collection)

    def work() -> Draft:
        stored = present(provider, source.key)
        return Draft(
            source.key if key is None else validate_key(key),
            provider.load(stored),
            decode_metadata(stored.metadata),
            datetime.now(UTC),
            stored.expires_at,
            stored.format if stored.data is MISSING else None,
            stored.created_at,
        )

    draft = providers.call(source.storage_type, "copy", source.key, work)
    return store_one(providers, target, draft, overwrite=overwrite, operation="copy")


def move_one(
    providers: ProviderSet, source: DataReference, target: Target, key: str | None, *, overwrite: bool
) -> DataReference:
    """:func:`copy_one`, then remove the original, if it is still the version that was copied.

    It is not when the target is another name of the same place, or when somebody stored a new one meanwhile.
    """
    provider = providers.find(source.storage_type, source.collection)
    before = _version(providers, provider, source)
    moved = copy_one(providers, source, target, key, overwrite=overwrite)
    is_itself = provider is providers.find(*target) and moved.key == source.key
    if not is_itself and _version(providers, provider, source) == before:
        providers.call(source.storage_type, "move", source.key, lambda: provider.remove([source.key]))
    return moved


def _version(
    providers: ProviderSet, provider: BaseStorageProvider, source: DataReference
) -> tuple[datetime | None, str | None] | None:
    def work() -> Stored | None:
        return provider.read([source.key], bodies=False)[0]

    stored = providers.call(source.storage_type, "move", source.key, work)
    return stored and (stored.updated_at, stored.version)


def present(provider: BaseStorageProvider, key: str) -> Stored:
    """The record under a key.

    Raises:
        KeyNotFoundError: There is none.
    """
    [stored] = provider.read([key])
    if stored is None:
        raise KeyNotFoundError(f"No record under {key!r}")
    return stored


def incoming(
    data: Iterable[Any] | Mapping[str, Any],
    keys: Iterable[str | None] | None,
    metadata: Metadata | Iterable[Metadata | None] | None,
) -> Iterator[Incoming]:
    """The items of a batch; lengths that differ raise ``ConfigurationError`` when the shorter one ends."""
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise ConfigurationError(f"store_many needs an iterable of values, not {type(data).__name__}")
    if isinstance(data, Mapping):
        if keys is not None:
            raise ConfigurationError("A mapping brings its own keys", hint="Leave out keys=")
        keys, data = data.keys(), data.values()
    each: Iterable[Any] = repeat(metadata) if metadata is None or isinstance(metadata, Mapping) else metadata
    columns = (repeat(None) if keys is None else keys, data, each)
    return map(Incoming._make, _aligned(columns, endless=(keys is None, False, each is not metadata)))


def store_many(
    providers: ProviderSet,
    target: Target,
    items: Iterator[Incoming],
    ttl: Lifetime,
    *,
    overwrite: bool,
    format: str | None,
) -> Iterator[Outcome]:
    """Write a batch, one outcome each, in order."""
    provider = providers.find(*target)
    lost: StorageError | None = None
    while chunk := list(islice(items, CHUNK)):
        drafts = [_attempt(item, ttl, format) for item in chunk]
        good = [draft.value for draft in drafts if draft.error is None]
        # A server that has gone is not asked again for every chunk that is left.
        written = _all_failed(good, lost) if lost else _write(providers, target, provider, good, overwrite)
        if written and isinstance(written[-1].error, StorageConnectionError):
            lost = written[-1].error
        outcomes = iter(written)
        for draft in drafts:
            yield draft if draft.error is not None else next(outcomes)


def for_each(
    providers: ProviderSet,
    operation: str,
    references: Sequence[Reference],
    work: Callable[[BaseStorageProvider, list[str]], list[Outcome]],
) -> list[Outcome]:
    """Do one batch call per provider and collection; the outcomes in the order of the references."""
    outcomes: dict[int, Outcome] = {}
    places: dict[Target, list[tuple[int, str]]] = {}
    for place, reference in enumerate(references):
        try:
            name = named(reference)
        except InvalidKeyError as error:
            outcomes[place] = Outcome(getattr(reference, "key", None), None, error)
        else:
            places.setdefault(Target(name.storage_type, name.collection), []).append((place, name.key))
    for target, wanted in places.items():
        found = _batch(providers, operation, target, [key for _, key in wanted], work)
        outcomes.update(zip([place for place, _ in wanted], found, strict=True))
    return [outcomes[place] for place in range(len(references))]


def named(reference: Reference) -> DataReference:
    """The reference, or the one a URI names, its key checked."""
    given: object = DataReference.from_uri(reference) if isinstance(reference, str) else reference
    if not isinstance(given, DataReference):
        raise ConfigurationError(f"Expected a DataReference or its URI, not {type(given).__name__}")
    validate_key(given.key)
    return given


def _write(
    providers: ProviderSet,
    target: Target,
    provider: BaseStorageProvider,
    drafts: list[Draft],
    overwrite: bool,
) -> list[Outcome]:
    try:
        results = providers.call(
            target.storage_type,
            "store_many",
            None,
            lambda: provider.write(drafts, overwrite=overwrite),
            again=overwrite,
        )
    except StorageError as error:
        return _all_failed(drafts, error)
    written = zip(drafts, results, strict=True)
    return [_outcome(target, provider, draft, result) for draft, result in written]


def _all_failed(drafts: list[Draft], error: StorageError) -> list[Outcome]:
    return [Outcome(draft.key, None, error) for draft in drafts]


def _batch(
    providers: ProviderSet,
    operation: str,
    target: Target,
    keys: list[str],
    work: Callable[[BaseStorageProvider, list[str]], list[Outcome]],
) -> list[Outcome]:
    try:
        provider = providers.find(*target)
    except StorageError as error:
        return [Outcome(key, None, error) for key in keys]
    # A provider without batches of its own fails for one key at a time.
    size = CHUNK if isinstance(provider, RecordProvider) else 1
    outcomes: list[Outcome] = []
    for start in range(0, len(keys), size):
        chunk = keys[start : start + size]
        try:
            only = chunk[0] if len(chunk) == 1 else None
            outcomes += providers.call(target.storage_type, operation, only, partial(work, provider, chunk))
        except StorageError as error:
            outcomes += [Outcome(key, None, error) for key in chunk]
    for outcome in outcomes:
        if outcome.error is not None:
            outcome.error.provider = target.storage_type
    return outcomes


def removed(provider: BaseStorageProvider, keys: list[str]) -> list[Outcome]:
    """Remove records: for each whether it was there. A key that comes twice is there only once."""
    distinct = list(dict.fromkeys(keys))
    there = dict(zip(distinct, provider.remove(distinct), strict=True))
    return [Outcome(key, there.pop(key, False), None) for key in keys]


def _attempt(item: Incoming, ttl: Lifetime, format: str | None) -> Outcome:
    try:
        draft = make_draft(item, ttl, format)
    except StorageError as error:
        return Outcome(item.key, None, error)
    return Outcome(draft.key, draft, None)


def _outcome(target: Target, provider: BaseStorageProvider, draft: Draft, result: StorageResult) -> Outcome:
    try:
        with boundary(provider, "store_many", draft.key):
            raise_failure(result)
    except StorageError as error:
        error.provider = target.storage_type
        return Outcome(draft.key, None, error)
    return Outcome(draft.key, _reference(target, draft, result), None)


def _reference(target: Target, draft: Draft, result: StorageResult) -> DataReference:
    return DataReference(
        target.storage_type,
        draft.key,
        dict(draft.metadata),
        result.created_at,
        result.size,
        result.format,
        result.version,
        target.collection,
    )


def _aligned(columns: Sequence[Iterable[Any]], endless: Sequence[bool]) -> Iterator[tuple[Any, ...]]:
    """``zip`` in which only the endless columns may be longer than the others."""
    iterators = [iter(column) for column in columns]
    end = object()
    while True:
        row = tuple(next(iterator, end) for iterator in iterators)
        ended = [value is end for value, forever in zip(row, endless, strict=True) if not forever]
        if all(ended):
            return
        if any(ended):
            raise ConfigurationError("store_many was given different numbers of values, keys or metadata")
        yield row


def _expiry(ttl: object, now: datetime) -> datetime | None:
    if ttl is None:
        return None
    try:
        if not isinstance(ttl, bool) and isinstance(ttl, Real):
            ttl = timedelta(seconds=float(ttl))
        if isinstance(ttl, timedelta) and ttl > timedelta(0):
            return now + ttl
    except (OverflowError, ValueError):  # beyond the year 9999, or NaN: as wrong as the wrong type
        pass
    raise ConfigurationError(
        f"ttl must be a positive number of seconds or a timedelta, not {ttl!r}",
        hint="Leave it out to keep it",
    )
