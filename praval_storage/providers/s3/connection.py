"""Requests to one bucket: sent on fsspec's own event loop, explained when they fail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any, TypeVar

import s3fs
from aiobotocore.session import AioSession
from botocore.exceptions import ConnectTimeoutError
from botocore.loaders import Loader, create_loader

from praval_storage.providers._contact import FirstContact
from praval_storage.providers.s3.explained import STALE, code_of, explained, missing_bucket
from praval_storage.providers.s3.settings import S3Settings

A = TypeVar("A")
B = TypeVar("B")
Answer = dict[str, Any]

ATTEMPTS = 3
"""How often a request is sent that is not answered, or answered with 5xx."""
PATIENCE = 4
"""How many times ``timeout`` a server that has answered may keep silent: it may have much to write down."""

_RETRY_OF_PROBE = "needs-retry.s3.HeadBucket"
_HEAD_IN_FULL = {"head_object": "get_object", "head_bucket": "list_objects_v2"}
# A client that is closed in a forked child would wait for a thread that only its parent has.
_LEFT_TO_THE_PARENT: list[s3fs.S3FileSystem | None] = []


class Connection:
    """One bucket. Nothing is opened before the first request; safe for threads, and after a fork.

    Args:
        settings: Which bucket, where, and as whom.
        given: A ready file system to use instead of an own one; it is never closed.
    """

    def __init__(self, settings: S3Settings, given: s3fs.S3FileSystem | None = None) -> None:
        self.settings = settings
        self._given = given
        self._opened: s3fs.S3FileSystem | None = None
        self._contact = FirstContact(None)
        self._running = 0
        self._pid = os.getpid()
        self._lock = RLock()

    def run(self, work: Coroutine[Any, Any, A]) -> A:
        """Wait for a piece of work; interrupting it also stops it."""
        with self._under_way():
            try:
                files = self._ready()
            except BaseException:
                work.close()
                raise
            return self._wait(files, work)

    async def call(self, method: str, **parameters: Any) -> Answer:
        """One request about the bucket. Credentials that have expired are asked for again, once."""
        files = self._files
        try:
            return await _in_full(files, method, Bucket=self.settings.bucket, **parameters)
        except Exception as error:
            code = code_of(error)
            if code is None:
                self._contact.forget()
            if code not in STALE or not self._can_renew():
                raise
        return await _in_full(self._renewed(files), method, Bucket=self.settings.bucket, **parameters)

    async def create_bucket(self) -> None:
        """Make the bucket, unless somebody else just did."""
        region = self.settings.region
        where: dict[str, Any] = {}
        if region is not None and region != "us-east-1":
            where["CreateBucketConfiguration"] = {"LocationConstraint": region}
        try:
            await self.call("create_bucket", **where)
        except OSError as error:
            if code_of(error) not in {"BucketAlreadyOwnedByYou", "OperationAborted"}:
                raise

    async def each(
        self, work: Callable[[A], Awaitable[B]], items: Iterable[A], limit: int | None = None
    ) -> list[B]:
        """Do the same with every item, several at a time; the first failure stops the others."""
        todo = list(items)
        waiting = iter(enumerate(todo))
        done: dict[int, B] = {}

        async def worker() -> None:
            for place, item in waiting:
                done[place] = await work(item)

        count = min(limit or self.settings.max_concurrency, len(todo))
        workers = [asyncio.ensure_future(worker()) for _ in range(count)]
        try:
            await asyncio.gather(*workers)
        finally:
            for one in workers:
                one.cancel()
        return [done[place] for place in range(len(todo))]

    async def presigned(self, name: str, expires: int) -> str:
        """A URL with a signature; made here, nothing is sent."""
        await self._files.set_session()
        client = await self._files.get_s3(self.settings.bucket)
        url: str = await client.generate_presigned_url(
            "get_object", Params={"Bucket": self.settings.bucket, "Key": name}, ExpiresIn=expires
        )
        return url

    async def buckets(self) -> list[str]:
        """The buckets these credentials may list."""
        answer = await self._files._call_s3("list_buckets")  # noqa: SLF001 - as s3fs itself does it
        return [bucket["Name"] for bucket in answer.get("Buckets", [])]

    def close(self) -> None:
        """Close what was opened; the next request opens it again, and one under way keeps it to its end."""
        if self._pid != os.getpid():
            self._forget()
        self._contact.forget()
        with self._lock:
            files, self._opened = self._opened, None
            is_used = self._running > 0  # then it closes when nobody uses it
        if files is not None and files is not self._given and not is_used:
            _wait(files, _close(files))

    # The file system

    @property
    def _files(self) -> s3fs.S3FileSystem:
        with self._lock:
            if self._opened is None:
                self._opened = self._given or self._make()
            return self._opened

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        if self._pid != os.getpid():
            self._forget()
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    def _ready(self) -> s3fs.S3FileSystem:
        files = self._files
        try:
            self._contact.ensure(lambda: self._wait(files, self._reach(files)))
        except BaseException:
            with self._lock:
                if self._opened is files:
                    self._opened = None  # credentials are looked up anew
            raise
        return files

    def _forget(self) -> None:
        """What a fork has left to us is of no use: neither the connections nor a lock that somebody held."""
        _LEFT_TO_THE_PARENT.append(self._opened)
        self._opened = None
        self._running = 0
        self._pid = os.getpid()
        self._lock = RLock()

    def _make(self) -> s3fs.S3FileSystem:
        settings = self.settings
        files = s3fs.S3FileSystem(
            session=_session(),
            anon=settings.anon,
            key=settings.access_key_id,
            secret=settings.secret_access_key,
            token=settings.session_token,
            endpoint_url=settings.endpoint_url,
            client_kwargs={"region_name": settings.region} if settings.region else {},
            config_kwargs=_config(settings),
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        files.retries = 1  # botocore retries what it makes sense to retry
        return files

    async def _reach(self, files: s3fs.S3FileSystem) -> None:
        """Find out within ``timeout`` whether there is a server, and a bucket."""
        client = await files.set_session()
        if files is not self._given:
            client.meta.events.register_first(_RETRY_OF_PROBE, _settle, unique_id="praval-storage")
        try:
            async with asyncio.timeout(self.settings.timeout):
                await files._call_s3("head_bucket", Bucket=self.settings.bucket)  # noqa: SLF001
        except OSError as error:
            code = code_of(error)
            if code is None:
                raise
            if code in {"404", "NoSuchBucket"} and not self.settings.auto_create:
                raise missing_bucket(self.settings) from error
            # Whatever else it answered: the request that follows says it with more words.

    def _can_renew(self) -> bool:
        return self._given is None and self.settings.access_key_id is None and not self.settings.anon

    def _renewed(self, stale: s3fs.S3FileSystem) -> s3fs.S3FileSystem:
        """A file system with credentials looked up anew; the stale one closes when nobody uses it."""
        with self._lock:
            if self._opened is stale:
                self._opened = self._make()
            return self._files

    def _wait(self, files: s3fs.S3FileSystem, work: Coroutine[Any, Any, A]) -> A:
        with explained(self.settings):
            return _wait(files, work)


def _wait(files: s3fs.S3FileSystem, work: Coroutine[Any, Any, A]) -> A:
    try:
        loop = files.loop
    except BaseException:
        work.close()
        raise
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _session() -> AioSession:
    """Every client has a session of its own, which reads half a megabyte of descriptions when left alone."""
    session = AioSession()
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


@cache
def _loader(data_path: str | None) -> Loader:
    return create_loader(data_path)


def _settle(caught_exception: Exception | None = None, **_: object) -> None:
    """Who refuses to connect, or hangs up, is not asked again; one packet of a connection may be lost."""
    if caught_exception is not None and not isinstance(caught_exception, ConnectTimeoutError):
        raise caught_exception


async def _close(files: s3fs.S3FileSystem) -> None:
    if files._s3 is not None:  # noqa: SLF001 - s3fs closes only when it is collected
        await files._s3.close()  # noqa: SLF001


async def _in_full(files: s3fs.S3FileSystem, method: str, **parameters: Any) -> Answer:
    """A request; a HEAD that is refused is asked again as GET, because only that is told why."""
    send = files._call_s3  # noqa: SLF001 - one request, where the public methods send two
    try:
        answer: Answer = await send(method, **parameters)
        return answer
    except OSError as error:
        if method not in _HEAD_IN_FULL or code_of(error) not in {"400", "403"}:
            raise
        first: Mapping[str, Any] = {"Range": "bytes=0-0"} if "Key" in parameters else {"MaxKeys": 1}
        await send(_HEAD_IN_FULL[method], **parameters, **first)
        raise


def _config(settings: S3Settings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "connect_timeout": settings.timeout / ATTEMPTS,
        "read_timeout": settings.timeout * PATIENCE,
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        "max_pool_connections": settings.max_concurrency,
        "tcp_keepalive": True,
    }
    if not settings.anon:
        config["signature_version"] = "s3v4"  # presigned URLs as every region takes them
    if settings.endpoint_url is not None:
        # Many servers do not know the checksums that AWS added in 2025.
        config["request_checksum_calculation"] = config["response_checksum_validation"] = "when_required"
    return config
