"""Batches: one outcome for each item, in order; one item's failure is not that of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from itertools import islice, repeat
from operator import itemgetter
from typing import Any

from praval_storage.base import BaseStorageProvider, RecordProvider, StorageResult, boundary, raise_failure
from praval_storage.errors import (
    ConfigurationError,
    StorageConnectionError,
    StorageError,
    StorageTimeoutError,
)
from praval_storage.provider_set import ProviderSet
from praval_storage.records import Draft
from praval_storage.results import Outcome
from praval_storage.writing import (
    Incoming,
    Lifetime,
    Metadata,
    Reference,
    Target,
    make_draft,
    named_or_failed,
    reference_to,
)

CHUNK = 1_000
"""Records per backend call of a batch: memory stays flat however long the input is."""


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
    providers.check_writable(target.storage_type, "store_many")
    provider = providers.find(*target)
    lost: StorageError | None = None
    while chunk := list(islice(items, _size(provider))):
        drafts = [_attempt(item, ttl, format) for item in chunk]
        good = [draft.value for draft in drafts if draft.error is None]
        written = _all_failed(good, lost) if lost else _write(providers, target, provider, good, overwrite)
        lost = lost or _lost(written)
        outcomes = iter(written)
        for draft in drafts:
            yield draft if draft.error is not None else next(outcomes)


def for_each(
    providers: ProviderSet,
    operation: str,
    references: Iterable[Reference],
    work: Callable[[Target, list[str]], list[Outcome]],
    *,
    changing: bool = False,
) -> list[Outcome]:
    """Do one batch call per provider and collection; the outcomes in the order of the references.

    Work that changes something is refused as a whole when one of the providers is read-only.
    """
    if isinstance(references, str):
        raise ConfigurationError(
            f"{operation} takes several references, not one",
            hint=f"Put it in a list, or use {operation.removesuffix('_many')}",
        )
    outcomes: dict[int, Outcome] = {}
    places: dict[Target, list[tuple[int, str]]] = {}
    for place, reference in enumerate(references):
        name = named_or_failed(reference)
        if isinstance(name, Outcome):
            outcomes[place] = name
        else:
            places.setdefault(Target(name.storage_type, name.collection), []).append((place, name.key))
    for target in places if changing else ():
        providers.check_writable(target.storage_type, operation)
    for target, wanted in places.items():
        wanted.sort(key=itemgetter(1))  # what lies together goes together: directories, pages of an index
        found = _batch(providers, operation, target, [key for _, key in wanted], work)
        outcomes.update(zip([place for place, _ in wanted], found, strict=True))
    return [outcomes[place] for place in range(len(outcomes))]


def delete_many(providers: ProviderSet, references: Iterable[Reference]) -> list[Outcome]:
    """Remove records: for each whether it was there. A key that comes twice is there only once."""

    def work(target: Target, keys: list[str]) -> list[Outcome]:
        distinct = list(dict.fromkeys(keys))
        there = dict(zip(distinct, providers.writer(*target).remove(distinct), strict=True))
        return [Outcome(key, there.pop(key, False), None) for key in keys]

    return for_each(providers, "delete_many", references, work, changing=True)


def _write(
    providers: ProviderSet,
    target: Target,
    provider: BaseStorageProvider,
    drafts: list[Draft],
    overwrite: bool,
) -> list[Outcome]:
    try:
        writer = providers.writer(*target)
        results = providers.call(
            target.storage_type,
            "store_many",
            None,
            lambda: writer.write(drafts, overwrite=overwrite),
            again=overwrite,
        )
    except StorageError as error:
        return _all_failed(drafts, error)
    written = zip(drafts, results, strict=True)
    return [_outcome(target, provider, draft, result) for draft, result in written]


def _all_failed(drafts: list[Draft], error: StorageError) -> list[Outcome]:
    return [Outcome(draft.key, None, error) for draft in drafts]


def _size(provider: BaseStorageProvider) -> int:
    """Records per call: a provider without batches of its own fails for one at a time."""
    return CHUNK if isinstance(provider, RecordProvider) else 1


def _lost(outcomes: Sequence[Outcome]) -> StorageError | None:
    """Why a server has gone or hangs, if the last outcome says so: it is not asked again for every chunk."""
    error = outcomes[-1].error if outcomes else None
    if not isinstance(error, StorageConnectionError | StorageTimeoutError):
        return None
    reason = copy(error)
    reason.key = None  # it is that of all that are left
    return reason


def _batch(
    providers: ProviderSet,
    operation: str,
    target: Target,
    keys: list[str],
    work: Callable[[Target, list[str]], list[Outcome]],
) -> list[Outcome]:
    try:
        provider = providers.find(*target)
    except StorageError as error:
        return [Outcome(key, None, error) for key in keys]
    size = _size(provider)
    outcomes: list[Outcome] = []
    for start in range(0, len(keys), size):
        chunk = keys[start : start + size]
        if (lost := _lost(outcomes)) is not None:
            outcomes += [Outcome(key, None, lost) for key in keys[start:]]
            break
        try:
            only = chunk[0] if len(chunk) == 1 else None
            outcomes += providers.call(target.storage_type, operation, only, partial(work, target, chunk))
        except StorageError as error:
            outcomes += [Outcome(key, None, error) for key in chunk]
    for outcome in outcomes:
        if outcome.error is not None:
            outcome.error.provider = target.storage_type
    return outcomes


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
    return Outcome(draft.key, reference_to(target, draft, result), None)


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
