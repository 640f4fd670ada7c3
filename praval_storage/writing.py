"""The write side of the manager: drafts and single writes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from numbers import Real
from typing import Any, NamedTuple

from praval_storage.base import BaseStorageProvider, StorageResult, raise_failure
from praval_storage.errors import (
    ConfigurationError,
    InvalidKeyError,
    KeyNotFoundError,
)
from praval_storage.keys import new_key, validate_key
from praval_storage.provider_set import ProviderSet
from praval_storage.records import Draft, Stored
from praval_storage.reference import DataReference
from praval_storage.results import Outcome

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


def store_one(providers: ProviderSet, target: Target, draft: Draft, *, overwrite: bool) -> DataReference:
    """Write one record; what fails is raised."""
    providers.check_writable(target.storage_type, "store", draft.key)
    writer = providers.writer(*target)

    def work() -> StorageResult:
        [result] = writer.write([draft], overwrite=overwrite)
        raise_failure(result)
        return result

    result = providers.call(target.storage_type, "store", draft.key, work, again=overwrite)
    return reference_to(target, draft, result)


def present(provider: BaseStorageProvider, key: str) -> Stored:
    """The record under a key.

    Raises:
        KeyNotFoundError: There is none.
    """
    [stored] = provider.read([key])
    if stored is None:
        raise KeyNotFoundError(f"No record under {key!r}")
    return stored


def named(reference: Reference) -> DataReference:
    """The reference, or the one a URI names, its key checked."""
    given: object = reference  # notebooks are not type-checked
    if not isinstance(given, str):
        raise ConfigurationError(f"Expected a DataReference or its URI, not {type(given).__name__}")
    name = given if isinstance(given, DataReference) else DataReference.from_uri(given)
    validate_key(name.key)
    return name


def named_or_failed(reference: Reference) -> DataReference | Outcome:
    """As :func:`named`, for one of many: a URI or key that is not legal is the failure of that one.

    Raises:
        ConfigurationError: It is not even text.
    """
    try:
        return named(reference)
    except (ConfigurationError, InvalidKeyError) as error:
        if not isinstance(reference, str):
            raise
        return Outcome(getattr(reference, "key", None), None, error)


def reference_to(target: Target, draft: Draft, result: StorageResult) -> DataReference:
    """The reference to what was written."""
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
