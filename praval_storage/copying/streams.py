"""Large bodies, piece by piece from one provider that streams to another: memory stays flat."""

from __future__ import annotations

import io
from dataclasses import replace
from hashlib import sha256
from typing import BinaryIO, cast

from praval_storage.base import BaseStorageProvider, CanStream, StorageResult, boundary, raise_failure
from praval_storage.copying.parcels import Parcel
from praval_storage.copying.route import Loaded, Outcomes, Route, Side, altered, as_result, vanished, version
from praval_storage.copying.same import difference_in_facts
from praval_storage.errors import StorageError
from praval_storage.records import Stored
from praval_storage.serialization import Content

PIECE = 1 << 20
SHA256 = 64
"""Length of a version that is the SHA-256 of the body, as files have it."""


class Streams:
    """Carries single records between two providers that stream.

    Args:
        route: From where to where.
        source: The one side.
        target: The other.
    """

    def __init__(self, route: Route, source: CanStream, target: CanStream) -> None:
        self._route = route
        self._source = source
        self._target = target

    def carry(self, parcel: Parcel) -> Outcomes:
        """What ``whole.carry`` does, for one record."""
        route = self._route
        outcomes: Outcomes = {}
        [stored] = route.read(route.source, [parcel.reference.key], bodies=False)
        with route.noting(outcomes, route.source, parcel):
            loaded = route.loaded(parcel, stored, lambda _: None)
        if parcel.key in outcomes:
            return outcomes
        if (result := self._there(loaded)) is None:
            result, digest = self._write(loaded)
            with route.noting(outcomes, route.target, parcel):
                self._check(loaded, digest)
        outcomes.setdefault(parcel.key, route.copied(loaded, result))
        route.finish([loaded], outcomes)
        return outcomes

    def _there(self, loaded: Loaded) -> StorageResult | None:
        """What is on the other side, if it is what would be written."""
        found = self._found(loaded)
        if (
            found is None
            or found.size != loaded.stored.size
            or (found.types or None) != (loaded.stored.types or None)
            or not self._route.may_skip(loaded, found)
            or difference_in_facts(loaded.stored, found)
            or not self._same_bodies(loaded, found)
        ):
            return None
        return as_result(found)

    def _found(self, loaded: Loaded) -> Stored | None:
        [found] = self._route.read(self._route.target, [loaded.parcel.key], bodies=False)
        return found

    def _same_bodies(self, loaded: Loaded, found: Stored) -> bool:
        route = self._route
        versions = {loaded.stored.version, found.version}
        if len(versions) == 1 and len(found.version or "") == SHA256:
            return True
        sent = self._digest(route.source, self._source, loaded.stored.key)
        return sent == self._digest(route.target, self._target, loaded.parcel.key)

    def _write(self, loaded: Loaded) -> tuple[StorageResult, str]:
        """Write the copy; also the SHA-256 of what was sent."""
        route, stored = self._route, loaded.stored
        with self._open(loaded) as body:
            sent = Hashed(body, self._source, stored.key)
            content = Content(stored.format, cast("BinaryIO", sent), stored.types)
            draft = replace(loaded.draft, data=content)
            try:  # only once: what has been read is gone
                [result] = route.write([draft], again=False)
                raise_failure(result)
            except StorageError as error:
                error.provider = (route.source if sent.is_broken else route.target).target.storage_type
                raise
            return result, sent.digest

    def _open(self, loaded: Loaded) -> BinaryIO:
        key = loaded.stored.key
        return self._route.call(self._route.source, [key], lambda: self._source.open(key))

    def _check(self, loaded: Loaded, sent: str) -> None:
        if (found := self._found(loaded)) is None:
            raise vanished(loaded)
        what = difference_in_facts(loaded.stored, found)
        stored = self._digest(self._route.target, self._target, loaded.parcel.key)
        if stored != sent or what:
            raise altered(what or "data", sent, stored)
        [now] = self._route.read(self._route.source, [loaded.stored.key], bodies=False)
        if now is None or version(now) != version(loaded.stored):
            raise StorageError(
                "The original was changed while it was copied, so data and metadata may not belong together",
                hint="Copy it again",
            )

    def _digest(self, side: Side, provider: CanStream, key: str) -> str:
        def work() -> str:
            digest = sha256()
            with provider.open(key) as body:
                while piece := body.read(PIECE):
                    digest.update(piece)
            return digest.hexdigest()

        return self._route.call(side, [key], work)


class Hashed(io.BufferedIOBase):
    """A body that is hashed while it is read.

    Attributes:
        is_broken: Whether reading failed: then a failing write is not the fault of the side it goes to.
    """

    def __init__(self, body: BinaryIO, provider: BaseStorageProvider, key: str) -> None:
        self._body = body
        self._provider = provider
        self._key = key
        self._digest = sha256()
        self.is_broken = False

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes."""
        self.is_broken = True
        with boundary(self._provider, "copy", self._key):
            piece = self._body.read(-1 if size is None else size)
        self.is_broken = False
        self._digest.update(piece)
        return piece

    @property
    def digest(self) -> str:
        """SHA-256 of what was read so far."""
        return self._digest.hexdigest()
