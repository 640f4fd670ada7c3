"""Records as objects of one bucket: reading, writing, deleting and listing them, many requests at a time."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, ClassVar

from praval_storage.base import Item
from praval_storage.errors import KeyExistsError, StorageConnectionError, StorageError, StoragePermissionError
from praval_storage.providers._objects.description import drafted
from praval_storage.providers._objects.reader import reading
from praval_storage.providers._objects.store import PAGE, Entry, Guard, Level, ObjectStore, Outcome, gone
from praval_storage.providers.s3.connection import Answer, Connection
from praval_storage.providers.s3.explained import CONFLICT, code_of, explained, missing_bucket
from praval_storage.providers.s3.flow import Flows
from praval_storage.providers.s3.headers import (
    COMPANIONS,
    Found,
    complete,
    media_type,
    owner_of,
    seal,
    unseal,
)
from praval_storage.providers.s3.upload import Target, Uploader
from praval_storage.records import Stored

ATTEMPTS = 5
"""How often an object is read whose companion went because it was replaced meanwhile."""
GRACE = timedelta(hours=1)
"""How old a companion must be before it can be a leftover: its object may be on its way."""

_LAST_CHARACTER = "\U0010ffff"
_NOT_IN_XML = re.compile("[\ufffe\uffff]")

logger = logging.getLogger("praval_storage")


class S3Store(ObjectStore):
    """Records as objects of one bucket.

    Args:
        connection: The bucket.
        format_of: Format of an object that others wrote, by its name.
    """

    listed: ClassVar[frozenset[str]] = frozenset({"key", "size"})

    def __init__(self, connection: Connection, format_of: Callable[[str], str]) -> None:
        self.connection = connection
        self._flows = Flows(connection)
        self._prefix = connection.settings.prefix
        self._format_of = format_of

    # Listing

    def entries(self, prefix: str, expected: int | None = None) -> Iterator[Entry]:
        skip = len(self._prefix)
        for page in self._pages(Prefix=self._prefix + prefix, MaxKeys=_page_size(expected)):
            for found in page.get("Contents", ()):
                yield Entry(found["Key"][skip:], found["Size"])

    def level(self, prefix: str, after: str | None, count: int) -> Level:
        asked = {"Prefix": self._prefix + prefix, "Delimiter": "/", "MaxKeys": count}
        if after is not None:
            # What stands for the folder itself is no folder in it, which would be gone past.
            asked["StartAfter"] = self._prefix + (after if after == prefix else _nearly(after))
        page = self.connection.run(self._page(**asked))
        skip = len(self._prefix)
        entries = [
            Entry(found["Key"][skip:], found["Size"], found["LastModified"])
            for found in page.get("Contents", ())
        ]
        folders = [found["Prefix"][skip:] for found in page.get("CommonPrefixes", ())]
        names = [*folders, *(entry.name for entry in entries)]
        last = max(names, default=None) if page.get("IsTruncated") else None
        statement = " ".join(["ListObjectsV2", *(f"{name}={value!r}" for name, value in asked.items())])
        return Level(entries, folders, last, statement)

    def folders(self, prefix: str) -> list[str]:
        start = self._prefix + prefix
        pages = self._pages(Prefix=start, Delimiter="/")
        common = (found["Prefix"] for page in pages for found in page.get("CommonPrefixes", ()))
        return [name[len(self._prefix) :].removesuffix("/") for name in common]

    def _pages(self, **parameters: Any) -> Iterator[Answer]:
        more: dict[str, str] = {}
        while True:
            page = self.connection.run(self._page(**parameters, **more))
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}
            parameters["MaxKeys"] = PAGE

    async def _page(self, **parameters: Any) -> Answer:
        try:
            return await self.connection.call("list_objects_v2", **parameters)
        except FileNotFoundError as error:
            self._check_may_be_missing(error)
            return {}

    # Reading

    def fetch(self, names: Sequence[str], bodies: Collection[str] = ()) -> list[Stored | None]:
        async def one(name: str) -> Stored | None:
            found = await self._find(name, body=name in bodies)
            return None if found is None else found.stored

        return self.connection.run(self.connection.each(one, names)) if names else []

    def open(self, stored: Stored) -> BinaryIO:
        def fetch(start: int, end: int) -> bytes:
            return self.connection.run(self._range(stored, f"bytes={start}-{end - 1}"))

        async def ask(start: int) -> Any:
            parameters = {"Range": f"bytes={start}-", "IfMatch": f'"{stored.version}"'}
            answer = await self.connection.call("get_object", Key=self._prefix + stored.key, **parameters)
            return answer["Body"]

        return reading(fetch, stored.size or 0, lambda start: self._flows.begin(lambda: ask(start)))

    async def _find(self, name: str, *, body: bool) -> Found | None:
        """The object with its own companion's metadata."""
        found = await self._look(name, body=body)
        for _ in range(ATTEMPTS):
            if found is None or found.companion is None:
                return found
            got = await self._get(found.companion)
            stored = None if got is None else complete(found.stored, got[1])
            if stored is not None:
                return Found(stored, found.companion)
            found = await self._look(name, body=body)
        logger.warning("s3: the object that holds the metadata of %r is missing", name)
        return found

    async def _look(self, name: str, *, body: bool = False) -> Found | None:
        if body:
            got = await self._get(self._prefix + name)
            return None if got is None else self._found(name, *got)
        try:
            answer = await self.connection.call("head_object", Key=self._prefix + name)
        except FileNotFoundError:
            return None
        return self._found(name, answer, None)

    async def _get(self, full_name: str, **parameters: Any) -> tuple[Answer, bytes] | None:
        try:
            answer = await self.connection.call("get_object", Key=full_name, **parameters)
        except FileNotFoundError as error:
            if code_of(error) == "NoSuchBucket":
                self._check_may_be_missing(error)
            return None
        async with answer["Body"] as stream:
            return answer, await stream.read()

    async def _range(self, stored: Stored, span: str) -> bytes:
        try:
            got = await self._get(self._prefix + stored.key, Range=span, IfMatch=f'"{stored.version}"')
        except OSError as error:
            if code_of(error) in CONFLICT:
                raise gone(stored.key) from error
            raise
        if got is None:
            raise gone(stored.key)
        return got[1]

    def _found(self, name: str, answer: Answer, body: bytes | None) -> Found:
        row = Stored(
            name,
            self._format_of(name),
            body,
            size=answer["ContentLength"],
            version=answer["ETag"].strip('"'),
        )
        return unseal(row, answer)

    # Writing

    def write(self, items: Mapping[str, Item], guard: Guard, *, overwrite: bool) -> dict[str, Outcome]:
        possible = frozenset(self._possible([*items]))

        async def work() -> dict[str, Outcome]:
            uploader = Uploader(self.connection)
            lost: list[StorageError] = []

            async def one(name: str) -> Outcome:
                if lost:  # a server that has gone is not asked again for every item that is left
                    return lost[0]
                try:
                    with guard(name), explained(self.connection.settings):
                        before = await self._look(name) if name in possible else None
                        return await self._put(name, items[name], before, uploader, overwrite)
                except StorageError as error:
                    if isinstance(error, StorageConnectionError):
                        lost.append(error)
                    return error

            return dict(zip(items, await self.connection.each(one, items), strict=True))

        return self.connection.run(work())

    def _possible(self, names: Sequence[str]) -> list[str]:
        try:
            return self.possible(names)
        except StoragePermissionError:  # who may write need not be allowed to list
            return list(names)

    async def _put(
        self, name: str, item: Item, before: Found | None, uploader: Uploader, overwrite: bool
    ) -> Stored:
        live = None if before is None or before.stored.expired(datetime.now(UTC)) else before.stored
        if live is not None and not overwrite:
            raise KeyExistsError("The key exists and overwrite=False")
        row = drafted(name, item, live)
        sealed = seal(row, self._prefix)
        if sealed.companion is not None:
            await uploader.create("put_object", Key=sealed.companion, Body=sealed.body)
        condition = {} if overwrite else _unless_changed(before)
        target = Target(self._prefix + name, sealed.header, media_type(row), condition)
        try:
            sent = await uploader.send(target, item.content.body)
        except OSError as error:
            if code_of(error) in CONFLICT:
                raise KeyExistsError("The key exists and overwrite=False") from error
            raise
        if before is not None and before.companion is not None:
            await self.connection.call("delete_object", Key=before.companion)
        return row._replace(size=sent.size, version=sent.etag.strip('"'))

    # Deleting

    def delete(self, names: Sequence[str]) -> list[Stored | None]:
        async def work() -> list[Stored | None]:
            before = await self.connection.each(self._look, names)
            there = [self._prefix + found.stored.key for found in before if found is not None]
            there += [found.companion for found in before if found is not None and found.companion]
            for start in range(0, len(there), PAGE):
                await self._delete_all(there[start : start + PAGE])
            return [found and found.stored for found in before]

        return self.connection.run(work()) if names else []

    async def _delete_all(self, full_names: Sequence[str]) -> None:
        if len(full_names) == 1:
            await self.connection.call("delete_object", Key=full_names[0])
            return
        objects = [{"Key": name} for name in full_names]
        answer = await self.connection.call("delete_objects", Delete={"Objects": objects, "Quiet": True})
        for failure in answer.get("Errors", ()):
            raise StorageError(
                f"S3 did not delete {failure['Key']!r}: {failure['Code']} {failure['Message']}"
            )

    def tidy(self) -> None:
        before = datetime.now(UTC) - GRACE
        for page in self._pages(Prefix=self._prefix + COMPANIONS, MaxKeys=PAGE):
            old = [found["Key"] for found in page.get("Contents", ()) if found["LastModified"] < before]
            self.connection.run(self._delete_leftovers(old))

    async def _delete_leftovers(self, companions: Sequence[str]) -> None:
        are_used = await self.connection.each(self._is_used, companions)
        leftovers = [name for name, is_used in zip(companions, are_used, strict=True) if not is_used]
        if leftovers:
            await self._delete_all(leftovers)

    async def _is_used(self, companion: str) -> bool:
        got = await self._get(companion)
        if got is None:
            return True
        owner = owner_of(got[1])
        found = None if owner is None else await self._look(owner)
        return owner is None or (found is not None and found.companion == companion)

    # Care

    def health(self) -> str:
        settings = self.connection.settings

        async def ask() -> None:
            async with asyncio.timeout(settings.timeout):
                await self.connection.call("head_bucket")

        try:
            self.connection.run(ask())
        except FileNotFoundError as error:
            self._check_may_be_missing(error)
            return f"bucket {settings.bucket} at {settings.where}: will be made on the first write"
        return f"bucket {settings.bucket} at {settings.where}"

    def close(self) -> None:
        self.connection.close()

    def _check_may_be_missing(self, error: Exception) -> None:
        if not self.connection.settings.auto_create:
            raise missing_bucket(self.connection.settings) from error


def _nearly(name: str) -> str:
    """A name to go on after: the last one of a folder, or at worst a little less than the name.

    S3 repeats it in its answer, and XML has no way to write U+FFFE and U+FFFF.
    """
    if (odd := _NOT_IN_XML.search(name)) is not None:
        return f"{name[: odd.start()]}\ufffd{_LAST_CHARACTER}"
    return f"{name}{_LAST_CHARACTER}" if name.endswith("/") else name


def _unless_changed(before: Found | None) -> dict[str, str]:
    """Write only if what was seen (nothing, or an expired object) is still what is there."""
    return {"IfNoneMatch": "*"} if before is None else {"IfMatch": f'"{before.stored.version}"'}


def _page_size(expected: int | None) -> int:
    return PAGE if expected is None else min(max(expected, 64), PAGE)
