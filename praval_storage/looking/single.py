"""The one record an address names where no place is: ``s3://lab/reports/a.csv``."""

from __future__ import annotations

from dataclasses import replace

from praval_storage.base import CanBrowse, CanQuery
from praval_storage.keys import is_legal
from praval_storage.labels import containing
from praval_storage.looking.where import ENDS, Where, last_part
from praval_storage.paging import whole
from praval_storage.places import Look, Seen
from praval_storage.provider_set import ProviderSet
from praval_storage.records import Stored


def or_single(providers: ProviderSet, where: Where, request: Look, seen: Seen) -> Seen:
    """The first page of a place; where nothing is on it, the record of that name: one more read."""
    if seen.places or seen.rows or seen.next is not None or where.name.endswith(ENDS):
        return seen
    collection, key = _named(providers, where)
    prefix = "" if where.keys else key[: last_part(key)]
    if not is_legal(key) or not containing(request.text)(key[len(prefix) :]):
        return seen
    provider = providers.find(where.storage_type, collection)
    if not isinstance(provider, CanQuery):
        return seen

    def work() -> list[Stored]:
        rows = provider.read([key], bodies=request.bodies)
        return list(whole(provider, request.where)(row for row in rows if row is not None))

    rows = providers.call(where.storage_type, "look", key, work)
    return replace(seen, rows=rows, collection=collection, prefix=prefix, note="") if rows else seen


def _named(providers: ProviderSet, where: Where) -> tuple[str | None, str]:
    """The collection (``None`` = the provider's own) and the key; no key where there can be none."""
    provider = providers[where.storage_type]
    if where.keys or not isinstance(provider, CanBrowse):
        return None, where.name
    return providers.call(where.storage_type, "look", None, lambda: provider.key_at(where.path))
