"""The records of one provider, a bounded number and size at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from praval_storage.base import CanStream, RecordProvider
from praval_storage.copying import whole
from praval_storage.copying.parcels import Parcel, failed
from praval_storage.copying.route import Outcomes, Route
from praval_storage.copying.streams import Streams
from praval_storage.errors import StorageConnectionError, StorageError, StoragePermissionError

RECORDS = 256
"""Records in one call."""
BYTES = 32 << 20
"""Bytes of bodies in one call."""
LARGE = 8 << 20
"""A body beyond this that has a call of its own goes in pieces, where both providers can."""


def transfer(route: Route, parcels: Sequence[Parcel]) -> Iterator[Outcomes]:
    """Carry the records, in order; the outcomes of each step by the keys of the copies."""
    source, target = route.source.provider, route.target.provider
    # A provider without batches of its own fails for one key at a time.
    at_once = RECORDS if isinstance(source, RecordProvider) and isinstance(target, RecordProvider) else 1
    waiting = iter(parcels)
    lost: StorageError | None = None
    while chunk := list(islice(waiting, at_once)):
        if lost is not None:  # what does not answer, or not to us, is not asked again for all the others
            yield failed(chunk, lost)
            continue
        errors: list[StorageError | None] = []
        for step in _carried(route, chunk):
            yield step
            errors += [outcome.error for outcome in step.values()]
        lost = _reason_to_stop(errors)


def _reason_to_stop(errors: Sequence[StorageError | None]) -> StorageError | None:
    """The last error, when all records failed because nobody answers, or not to us."""
    # One record alone may be one that nobody may read.
    hopeless = (
        StorageConnectionError if len(errors) == 1 else (StorageConnectionError, StoragePermissionError)
    )
    return errors[-1] if all(isinstance(error, hopeless) for error in errors) else None


def _carried(route: Route, parcels: Sequence[Parcel]) -> Iterator[Outcomes]:
    done: set[str] = set()
    try:
        for piece, size in _pieces(route, parcels):
            step = _delivered(route, piece, size)
            done |= step.keys()
            yield step
    except StorageError as error:
        left = [parcel for parcel in parcels if parcel.key not in done]
        if len(parcels) == 1 or isinstance(error, StorageConnectionError):
            yield failed(left, error)
            return
        for parcel in left:  # one of them made the whole call fail
            yield from _carried(route, [parcel])


def _delivered(route: Route, piece: Sequence[Parcel], size: int) -> Outcomes:
    source, target = route.source.provider, route.target.provider
    if size > LARGE and len(piece) == 1 and isinstance(source, CanStream) and isinstance(target, CanStream):
        return Streams(route, source, target).carry(piece[0])
    return whole.carry(route, piece)


def _pieces(route: Route, parcels: Sequence[Parcel]) -> Iterator[tuple[list[Parcel], int]]:
    """As many records together as their bodies fit in memory, and the sum of their sizes."""
    piece: list[Parcel] = []
    weight = 0
    for parcel, size in zip(parcels, _sizes(route, parcels), strict=True):
        if piece and weight + size > BYTES:
            yield piece, weight
            piece, weight = [], 0
        piece.append(parcel)
        weight += size
    yield piece, weight


def _sizes(route: Route, parcels: Sequence[Parcel]) -> list[int]:
    """The size of each body; a reference made from a URI does not know it."""
    sizes = {parcel.reference.key: parcel.reference.size for parcel in parcels}
    unknown = [key for key, size in sizes.items() if size is None]
    if isinstance(route.source.provider, RecordProvider):
        rows = route.read(route.source, unknown, bodies=False)
        sizes |= {row.key: row.size for row in rows if row is not None}
    return [sizes[parcel.reference.key] or 0 for parcel in parcels]
