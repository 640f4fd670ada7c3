"""Records with the keys of their copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from praval_storage.errors import InvalidKeyError, KeyExistsError, StorageError
from praval_storage.keys import validate_key
from praval_storage.reference import DataReference
from praval_storage.results import Outcome
from praval_storage.writing import Reference, Target, named_or_failed


class Parcel(NamedTuple):
    """A record on its way, and the key of its copy."""

    reference: DataReference
    key: str


def addressed(
    target: Target, references: Iterable[Reference], key: Callable[[DataReference], str] | None
) -> list[Parcel | Outcome]:
    """For each reference its parcel, or why it gets none. The same record twice is one parcel."""
    names = [named_or_failed(reference) for reference in references]
    originals = {name for name in names if isinstance(name, DataReference)}
    claimed: dict[str, DataReference] = {}
    entries: list[Parcel | Outcome] = []
    for name in names:
        if isinstance(name, Outcome):
            entries.append(name)
            continue
        try:
            new = validate_key(name.key if key is None else key(name))
            copied = DataReference(target.storage_type, new, collection=target.collection)
            _check_free(name, copied, claimed.setdefault(new, name), originals)
            entries.append(Parcel(name, new))
        except (InvalidKeyError, KeyExistsError) as error:
            entries.append(Outcome(name.key, None, error))
    return entries


def failed(parcels: Iterable[Parcel], error: StorageError) -> dict[str, Outcome]:
    """The same failure for several records, by the keys of their copies."""
    return {parcel.key: Outcome(parcel.reference.key, None, error) for parcel in parcels}


def _check_free(
    name: DataReference, copied: DataReference, first: DataReference, originals: set[DataReference]
) -> None:
    """Two records must not become one, nor a copy replace a record that is still to be copied."""
    if first != name:
        raise KeyExistsError(
            f"{first} and {name} would both become {copied}",
            hint="Give them different keys, as in key=lambda reference: f'old/{reference.key}'",
        )
    if copied != name and copied in originals:
        raise KeyExistsError(
            f"{name} would replace {copied}, which is to be copied itself",
            hint="Copy to other keys or another collection first",
        )
