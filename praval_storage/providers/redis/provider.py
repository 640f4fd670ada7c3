"""Records as strings of a Redis database, and other people's data beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from praval_storage.base import (
    CanBrowse,
    CanQuery,
    HasCollections,
    HasForeign,
    Item,
    RecordProvider,
    StorageResult,
    boundary,
    changes,
)
from praval_storage.diagnosis import Checkup
from praval_storage.errors import ConfigurationError, StorageError
from praval_storage.keys import validate_key
from praval_storage.places import Look, Measured, Seen
from praval_storage.providers.redis import browsing, counters, natively
from praval_storage.providers.redis.checkup import examine
from praval_storage.providers.redis.connection import Connection
from praval_storage.providers.redis.keyspace import Keyspace
from praval_storage.providers.redis.messages import Subscription, payload_of
from praval_storage.providers.redis.reading import Reader
from praval_storage.providers.redis.settings import RedisSettings
from praval_storage.providers.redis.writing import Writer
from praval_storage.records import Stored
from praval_storage.scan import Scan, Scanned
from praval_storage.serialization import encode

if TYPE_CHECKING:
    import redis
    from redis.lock import Lock

LOCKS = "locks/.praval/"
"""Between the prefix and the name of a lock: such a key is legal nowhere, so locks are not listed."""


class RedisProvider(RecordProvider, CanQuery, CanBrowse, HasForeign, HasCollections):
    """Keeps each record as one Redis string, a JSON object that ``GET`` in redis-cli shows.

    Strings, hashes, lists, sets, sorted sets and streams that others wrote are records, too (see the module
    ``foreign``); storing under such a key replaces it, deleting deletes it. A Redis expiry is the record's
    expiry. Whether data survives a crash of the server is the server's setting (``appendonly``).

    Nothing is connected before it is used. A command is never sent a second time by itself: after a lost
    connection only the caller knows whether that would be right.

    Args:
        host: Server.
        port: Its port.
        db: Number of the database.
        password: Password of the user.
        username: ACL user; ``None`` = the default one.
        url: ``redis://``, ``rediss://`` or ``unix://`` instead.
        ssl: Whether to use TLS.
        prefix: What every key in Redis starts with and no key here does, for example ``"app:"``.
        timeout: Seconds to wait for a connection, and for each answer.
        client: A ready client to use instead; it is never closed here. It needs
            ``decode_responses=False``, the default.
        allow_pickle: Whether pickled data may be written and read. Reading pickles runs code.
    """

    libraries = ("redis",)

    def __init__(
        self,
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        password: str | None = None,
        *,
        username: str | None = None,
        url: str | None = None,
        ssl: bool = False,
        prefix: str = "",
        timeout: float = 5.0,
        client: redis.Redis | None = None,
        allow_pickle: bool = False,
    ) -> None:
        super().__init__("redis", allow_pickle=allow_pickle)
        settings = RedisSettings(host, port, db, password, username, url, ssl, prefix, timeout)
        if client is not None and settings != RedisSettings(prefix=prefix, timeout=timeout):
            raise ConfigurationError(
                "client is given together with other settings", hint="It brings its own place"
            )
        self._bind(settings, Connection(settings, client), "")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        provider = cls()
        settings = RedisSettings.from_env(environ)
        provider._bind(settings, Connection(settings, None), "")
        return provider

    def _bind(self, settings: RedisSettings, connection: Connection, collection: str) -> None:
        self.settings = settings
        self._connection = connection
        self._keyspace = Keyspace(settings.prefix, collection)
        self._reader = Reader(connection, self._keyspace, allow_pickle=self.allow_pickle)
        self._writer = Writer(self, connection, self._keyspace)
        self._subscriptions: WeakSet[Subscription] = WeakSet()

    # Records

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        return self._writer.put(items, overwrite=overwrite)

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        return self._reader.read(keys, bodies=bodies)

    def remove(self, keys: Sequence[str]) -> list[bool]:
        return self._writer.remove(keys)

    def scan(self, request: Scan) -> Scanned:
        return self._reader.scan(request)

    def dump(self, rows: Mapping[str, Stored | None]) -> dict[str, Stored]:
        return natively.dump(self._connection, self._keyspace, rows)

    def restore(self, rows: Sequence[Stored], *, overwrite: bool) -> list[StorageResult]:
        return natively.restore(self, self._connection, self._keyspace, rows, overwrite=overwrite)

    def home(self) -> str:
        return ""

    def look(self, request: Look) -> Seen:
        return browsing.look(self, self._connection, self._keyspace, request)

    def measure(self, path: str) -> Iterator[Measured]:
        return browsing.measure(self._connection, self._keyspace, path)

    # Collections

    @property
    def collection(self) -> str:
        """The part of the keys this provider is bound to; ``""`` = all below the prefix."""
        return self._keyspace.collection

    def collections(self) -> list[str]:
        """What stands before the first ``:`` of the keys here, as names for :meth:`in_collection`.

        Redis has no list of them, so keys are looked at: a million at most, and what only later ones would
        show is missing then (a warning is logged).
        """
        return browsing.collections(self._reader, self._keyspace)

    def in_collection(self, name: str) -> Self:
        """The same connection bound to the keys that start with ``name:``; ``""`` = all below the prefix."""
        bound = copy(self)
        bound._bind(self.settings, self._connection, validate_key(name) if name else "")  # noqa: SLF001
        bound._subscriptions = self._subscriptions  # noqa: SLF001 - a copy of ourselves
        return bound

    # Atomic helpers

    @changes
    def increment(self, key: str, by: float = 1) -> int | float:
        """Add to the number under a key, in one step that nobody comes between; the sum.

        The record stays as it is but for its data, ``updated_at`` and version; its expiry stays, too. A
        missing key counts as 0 and gets a new record.

        Raises:
            StorageError: The data is no int or float stored here, an int would reach 2^53, or a float would
                not be finite.
        """
        with boundary(self, "increment", key):
            return counters.increment(self._connection, self._keyspace.name(validate_key(key)), key, by)

    @changes
    def compare_and_set(self, key: str, expected: Any, new: Any) -> bool:
        """Store ``new`` if the data under a key is ``expected``, in one step; whether it was.

        Compared is what would be stored: types count (``1`` is not ``1.0``, a tuple is no list), the order
        in dicts does not. Metadata, ``created_at`` and expiry stay. A missing key is equal to nothing; use
        ``store`` with ``overwrite=False`` to make one only if it is missing.
        """
        with boundary(self, "compare_and_set", key):
            name = self._keyspace.name(validate_key(key))
            wanted = encode(expected, key=key, allow_pickle=self.allow_pickle)
            content = encode(new, key=key, allow_pickle=self.allow_pickle)
            parse = partial(self._reader.parse, key)
            return counters.compare_and_set(self._connection, parse, name, wanted, content)

    @changes
    @contextmanager
    def lock(self, name: str, *, timeout: float = 30.0, wait: float | None = 10.0) -> Iterator[Lock]:
        """Hold a lock on this server while a ``with`` block runs; it is not listed as a key.

        Args:
            name: Name, by the rules for keys; a collection has its own ones.
            timeout: Seconds after which the lock is free again even if its holder died. A block that takes
                longer calls ``extend(seconds)`` on the lock it was given.
            wait: Seconds to wait for it; ``None`` = for ever, 0 = not at all.

        Raises:
            StorageTimeoutError: It was not free in time.
            StorageError: It had expired when the block was done.
        """
        with boundary(self, "lock", name):
            full = self._keyspace.name(LOCKS + validate_key(name))
            lock = counters.acquire(self._connection, full, timeout, wait)
        try:
            yield lock
        except BaseException:
            counters.release(self._connection, lock)
            raise
        with boundary(self, "lock", name):
            if not counters.release(self._connection, lock):
                raise StorageError(
                    f"The lock had expired after {timeout:g} s, before the block was done",
                    hint="Raise timeout=, or call extend(seconds) on the lock in the block",
                )

    # Messages

    @changes
    def publish(self, channel: str, message: Any) -> int:
        """Send a message to those who listen now; how many that are.

        Any storable value arrives as it was. Text is sent as it is; other values as JSON with their types.
        """
        with boundary(self, "publish"):
            payload = payload_of(message, allow_pickle=self.allow_pickle)
            with self._connection.calling() as client:
                return int(client.publish(channel, payload))

    def subscribe(
        self, *channels: str, patterns: Sequence[str] = (), timeout: float | None = None
    ) -> Subscription:
        """Listen to channels: a context manager, an iterator over messages, and ``get(timeout)``.

        Everything that is published after this has returned arrives, as long as the connection holds; it is
        a connection of its own, and is made again after a restart of the server.

        Args:
            channels: Names.
            patterns: Glob patterns of names.
            timeout: Seconds without a message after which an iteration ends; ``None`` = never.
        """
        if isinstance(patterns, str) or not (channels or patterns):
            raise ConfigurationError("subscribe needs a channel, or patterns=[...]")
        with boundary(self, "subscribe"):
            subscription = Subscription(
                self._connection,
                channels,
                patterns,
                timeout=timeout,
                answer=self.settings.timeout,
                allow_pickle=self.allow_pickle,
            )
        self._subscriptions.add(subscription)
        return subscription

    # Life cycle

    def health(self) -> str:
        with self._connection.calling() as client:
            version = client.info("server").get("redis_version", "")
        return f"Redis {version} at {self._connection.place}"

    def diagnose(self) -> Checkup:
        with self._connection.calling() as client:
            return examine(client, read_only=self.read_only)

    def close(self) -> None:
        """End subscriptions and connections; the provider can be used again."""
        for subscription in list(self._subscriptions):
            subscription.close()
        self._subscriptions.clear()
        self._connection.close()

    def secrets(self) -> Iterable[str]:
        return self.settings.secrets()

    @property
    def place(self) -> str:
        start = self._keyspace.start.decode()
        return f"{self._connection.place}{f', keys {start}*' if start else ''}"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._connection.given is not None:
            raise ConfigurationError(
                "A provider made with client= cannot be pickled", hint="Make it with url="
            )
        return _restored, (type(self), self.settings, self.collection, self.allow_pickle)


def _restored(
    kind: type[RedisProvider], settings: RedisSettings, collection: str, allow_pickle: bool
) -> RedisProvider:
    provider = kind(allow_pickle=allow_pickle)
    provider._bind(settings, Connection(settings, None), collection)  # noqa: SLF001 - one of ours
    return provider
