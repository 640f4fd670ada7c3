"""Pub/sub: what is sent, and a subscription that outlives the server's restarts.

Redis keeps no message: it reaches those who listen at that moment. What is published while the connection of
a listener is down is lost to it. Channels belong to the whole server, whatever the database or prefix.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, RLock
from typing import TYPE_CHECKING, Any, Self

import redis

from praval_storage.errors import StorageConnectionError, StorageTimeoutError
from praval_storage.providers.redis import layout
from praval_storage.providers.redis.connection import Connection
from praval_storage.providers.redis.foreign import text_or_bytes
from praval_storage.serialization import Content, decode, encode

if TYPE_CHECKING:
    from redis.client import PubSub

PATIENCE = 60.0
"""Seconds a server may be away before somebody who waits without a limit is told."""
_SLICE = 0.25
"""How long a ``close`` by another thread may go unnoticed."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        channel: Channel it was published to.
        data: The value that was published; of other programs' messages the text, or bytes if not UTF-8.
        received_at: When it was taken from the connection, aware UTC.
        pattern: The pattern that matched the channel, if one did.
    """

    channel: str
    data: Any
    received_at: datetime
    pattern: str | None = None


def payload_of(message: Any, *, allow_pickle: bool) -> bytes:
    """What is sent: text as it is, so that every program can read it, and any other value as JSON."""
    content = encode(message, allow_pickle=allow_pickle)
    if content.format == "text":
        body = content.read()
        if layout.parse_message(body) is None:
            return body
        content = Content("text", body)
    return layout.message(content)


class Subscription:
    """Messages of some channels, in order, from a connection of its own.

    It iterates over messages and is a context manager. Nothing runs in the background: messages wait in the
    connection until they are taken (the server gives up on listeners that fall far behind, see
    ``client-output-buffer-limit``). When the connection is lost it is made again.

    Args:
        connection: The server.
        channels: Names of channels.
        patterns: Glob patterns of names.
        timeout: Seconds without a message after which an iteration ends; ``None`` = never.
        answer: Seconds to wait for the server's answers.
        allow_pickle: Whether pickled messages are read. Reading pickles runs code.
        patience: Seconds to try to connect again.
    """

    def __init__(
        self,
        connection: Connection,
        channels: Sequence[str],
        patterns: Sequence[str],
        *,
        timeout: float | None,
        answer: float,
        allow_pickle: bool,
        patience: float = PATIENCE,
    ) -> None:
        self._connection = connection
        self._channels, self._patterns = tuple(channels), tuple(patterns)
        self._timeout, self._answer, self._patience = timeout, answer, patience
        self._allow_pickle = allow_pickle
        self._waiting: deque[Message] = deque()
        self._lock = RLock()
        self._closed = Event()
        self._client: redis.Redis | None = None
        self._pubsub: PubSub | None = None
        self._open()

    def get(self, timeout: float | None = None) -> Message | None:
        """The next message; ``None`` when none came within ``timeout`` seconds or it was closed.

        Args:
            timeout: Seconds to wait; ``None`` = for ever.

        Raises:
            StorageConnectionError: The connection was lost and could not be made again in this time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while not self._closed.is_set():
                if self._waiting:
                    return self._waiting.popleft()
                try:
                    self._receive(_SLICE if deadline is None else _until(deadline, _SLICE))
                except (StorageConnectionError, StorageTimeoutError):
                    if not self._closed.is_set():
                        self._open_again(deadline)
                if not self._waiting and deadline is not None and time.monotonic() >= deadline:
                    return None
        return None

    def close(self) -> None:
        """Stop listening, also for another thread that waits in ``get``; messages not taken are lost."""
        self._closed.set()
        with self._lock:
            self._drop()
            self._waiting.clear()

    def __iter__(self) -> Iterator[Message]:
        while (message := self.get(self._timeout)) is not None:
            yield message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self._channels + self._patterns))
        return f"<Subscription {names}{' closed' if self._closed.is_set() else ''}>"

    def _open(self) -> None:
        """Subscribe, and wait until the server says so: what is published from then on arrives."""
        try:
            with self._connection.translated():
                self._client = self._connection.separate()
                self._pubsub = self._client.pubsub()  # type: ignore[no-untyped-call]
                if self._channels:
                    self._pubsub.subscribe(*self._channels)
                if self._patterns:
                    self._pubsub.psubscribe(*self._patterns)
                self._wait_for_acknowledgement()
        except BaseException:
            self._drop()
            raise

    def _wait_for_acknowledgement(self) -> None:
        deadline = time.monotonic() + self._answer
        missing = len(set(self._channels)) + len(set(self._patterns))
        while missing:
            if time.monotonic() > deadline:
                raise redis.TimeoutError("no answer to SUBSCRIBE")
            missing -= self._take(_SLICE) == "acknowledged"

    def _open_again(self, deadline: float | None) -> None:
        last = time.monotonic() + self._patience if deadline is None else deadline
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            self._drop()
            try:
                self._open()
                return
            except (StorageConnectionError, StorageTimeoutError):
                if time.monotonic() + pause > last:
                    raise
            self._closed.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _receive(self, timeout: float) -> None:
        """Wait for the next message and keep it."""
        with self._connection.translated():
            if self._pubsub is None:
                raise redis.ConnectionError("the connection was lost")
            self._take(timeout)

    def _take(self, timeout: float) -> str | None:
        """What came within ``timeout``: ``"acknowledged"``, ``"message"`` or ``None``."""
        pubsub = self._pubsub
        # Waiting is short, reading is not: a message that has begun to arrive is read to its end.
        connection: Any = pubsub and pubsub.connection
        if pubsub is None or not connection.can_read(timeout=timeout):
            return None
        found = pubsub.get_message(timeout=self._answer)
        if found is None:
            return None
        if found["type"] not in {"message", "pmessage"}:
            return "acknowledged"
        self._waiting.append(self._message(found))
        return "message"

    def _message(self, found: dict[str, Any]) -> Message:
        payload, pattern = found["data"], found["pattern"]
        content = layout.parse_message(payload)
        data = text_or_bytes(payload) if content is None else decode(content, allow_pickle=self._allow_pickle)
        named = None if pattern is None else _name(pattern)
        return Message(_name(found["channel"]), data, datetime.now(UTC), named)

    def _drop(self) -> None:
        pubsub, client = self._pubsub, self._client
        self._pubsub = self._client = None
        if pubsub is not None:
            pubsub.close()
        if client is not None:
            client.connection_pool.disconnect()


def _until(deadline: float, most: float) -> float:
    return max(0.0, min(most, deadline - time.monotonic()))


def _name(channel: bytes) -> str:
    return channel.decode(errors="backslashreplace")
