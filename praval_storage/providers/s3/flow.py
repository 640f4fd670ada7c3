"""Bodies that come in one answer from some place to their end; each holds a connection until it is closed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from threading import Semaphore
from typing import Any

from praval_storage.errors import StorageConnectionError
from praval_storage.providers.s3.connection import Connection


class Flows:
    """As many as leave half of the connections to other requests.

    Args:
        connection: The bucket.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._free = Semaphore(connection.settings.max_concurrency // 2)

    def begin(self, ask: Callable[[], Awaitable[Any]]) -> Flow | None:
        """What answers a request, as it comes; ``None`` while there are too many."""
        if not self._free.acquire(blocking=False):
            return None
        try:
            stream, loop = self._connection.run(_with_loop(ask))
        except BaseException:
            self._free.release()
            raise
        return Flow(self._connection, stream, loop, self._free.release)


class Flow:
    """One body on its way."""

    def __init__(
        self,
        connection: Connection,
        stream: Any,
        loop: asyncio.AbstractEventLoop,
        release: Callable[[], None],
    ) -> None:
        self._connection, self._stream, self._loop, self._release = connection, stream, loop, release
        self._pid = os.getpid()

    def read(self, length: int) -> bytes:
        """The next bytes; fewer only at the end."""
        if self._pid != os.getpid():  # what waits for a socket would be shared with that process
            raise StorageConnectionError("The socket belongs to the process this one was forked from")
        return self._connection.run(_read(self._stream, length))

    def close(self) -> None:
        """Let the connection go, and wait for nothing: garbage may be collected in the thread of the loop."""
        if self._pid == os.getpid() and not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(_closed(self._stream), self._loop)
        self._release()


async def _with_loop(ask: Callable[[], Awaitable[Any]]) -> tuple[Any, asyncio.AbstractEventLoop]:
    return await ask(), asyncio.get_running_loop()


async def _read(stream: Any, length: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < length and (piece := await stream.read(length - len(pieces))):
        pieces += piece
    return bytes(pieces)


async def _closed(stream: Any) -> None:
    async with stream:
        pass
