"""Sending bodies: in one request, or in parts so that memory stays flat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, BinaryIO, NamedTuple

from praval_storage.providers.s3.connection import Answer, Connection
from praval_storage.providers.s3.explained import code_of

PART = 5 << 20
"""Bytes of a part: the smallest S3 takes."""
GROWTH = 2_500
"""Parts after which they double: 10,000 parts are the most S3 takes."""
AT_ONCE = 3
"""Parts under way at the same time."""
WHOLE = 16 << 20
"""Bytes up to which a body that is in memory is sent in one request."""


class Target(NamedTuple):
    """Where a body goes.

    Attributes:
        name: The object.
        header: Its user metadata.
        media_type: What it is, for browsers.
        condition: Conditional headers.
    """

    name: str
    header: dict[str, str]
    media_type: str
    condition: dict[str, str]


class Sent(NamedTuple):
    """The ETag of what was sent, and its size."""

    etag: str
    size: int


class Uploader:
    """Sends bodies of one batch.

    Args:
        connection: The bucket.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._creating = asyncio.Lock()
        # One stream at a time: their parts are in memory.
        self._streaming = asyncio.Lock()

    async def send(self, target: Target, body: bytes | BinaryIO) -> Sent:
        """Write an object; nothing is there before all of it is."""
        if isinstance(body, bytes) and len(body) <= WHOLE:
            return await self._whole(target, body)
        async with self._streaming:
            parts = _parts(body)
            first = await anext(parts, b"")
            if len(first) < PART:
                return await self._whole(target, first)
            return await self._multipart(target, first, parts)

    async def create(self, method: str, **parameters: Any) -> Answer:
        """A request that makes the bucket if it is missing and may be made."""
        try:
            return await self._connection.call(method, **parameters)
        except FileNotFoundError as error:
            if not self._connection.settings.auto_create or code_of(error) != "NoSuchBucket":
                raise
        async with self._creating:
            await self._connection.create_bucket()
        return await self._connection.call(method, **parameters)

    async def _whole(self, target: Target, body: bytes) -> Sent:
        answer = await self._conditional("put_object", target.condition, **_described(target), Body=body)
        return Sent(answer["ETag"], len(body))

    async def _multipart(self, target: Target, first: bytes, rest: AsyncIterator[bytes]) -> Sent:
        started = await self.create("create_multipart_upload", **_described(target))
        upload = {"Key": target.name, "UploadId": started["UploadId"]}
        try:
            parts, size = await self._send_parts(upload, first, rest)
            answer = await self._conditional(
                "complete_multipart_upload", target.condition, **upload, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            # Also when it is interrupted: what is never completed is paid for.
            await asyncio.shield(self._connection.call("abort_multipart_upload", **upload))
            raise
        return Sent(answer["ETag"], size)

    async def _send_parts(
        self, upload: dict[str, str], first: bytes, rest: AsyncIterator[bytes]
    ) -> tuple[list[dict[str, Any]], int]:
        async def send(part: tuple[int, bytes]) -> dict[str, Any]:
            number, body = part
            answer = await self._connection.call("upload_part", **upload, PartNumber=number, Body=body)
            return {"PartNumber": number, "ETag": answer["ETag"]}

        parts: list[dict[str, Any]] = []
        group, size = [first], 0
        while group:
            size += sum(map(len, group))
            numbered = enumerate(group, start=len(parts) + 1)
            parts += await self._connection.each(send, numbered, AT_ONCE)
            group.clear()  # before the next ones are read: these are what memory is used for
            group += [part for _ in range(AT_ONCE) if (part := await anext(rest, b""))]
        return parts, size

    async def _conditional(self, method: str, condition: dict[str, str], **parameters: Any) -> Answer:
        try:
            return await self.create(method, **parameters, **condition)
        except OSError as error:
            # A server that knows no conditional writes and says so: it was looked before, that has to do.
            if not condition or code_of(error) not in {"NotImplemented", "501"}:
                raise
        return await self.create(method, **parameters)


def _described(target: Target) -> dict[str, Any]:
    return {"Key": target.name, "Metadata": target.header, "ContentType": target.media_type}


async def _parts(body: bytes | BinaryIO) -> AsyncIterator[bytes]:
    """The body in pieces of the size of a part; files are read on another thread."""
    if isinstance(body, bytes):
        for start in range(0, len(body), PART):
            yield body[start : start + PART]
        return
    number = 0
    while part := await asyncio.to_thread(_read, body, PART << (number // GROWTH)):
        yield part
        number += 1


def _read(file: BinaryIO, size: int) -> bytes:
    """The next ``size`` bytes; fewer only at the end, although some files give less at a time."""
    pieces: list[bytes] = []
    while size > 0 and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
