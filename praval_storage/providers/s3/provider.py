"""``S3Provider``: records in an S3 bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from praval_storage.base import HasVersions, boundary
from praval_storage.diagnosis import Checkup
from praval_storage.errors import ConfigurationError, StoragePermissionError
from praval_storage.keys import validate_key
from praval_storage.paging import in_places
from praval_storage.places import Look, Measured, Place, Seen, as_folder
from praval_storage.providers._objects import ObjectProvider
from praval_storage.providers.s3.checkup import examine
from praval_storage.providers.s3.connection import Connection
from praval_storage.providers.s3.settings import S3Settings
from praval_storage.providers.s3.store import S3Store

if TYPE_CHECKING:
    import s3fs

MAX_SECONDS = 7 * 24 * 3600
"""How long a presigned URL can be good for at most (AWS Signature Version 4)."""


SCHEME = "s3://"
"""Begins the name of a collection that is another bucket."""


class _Place(NamedTuple):
    """Where a path is.

    Attributes:
        provider: The one whose keys are there.
        path: The rest of the path, that of keys.
        base: The beginning of the path.
        collection: What references call it.
    """

    provider: S3Provider
    path: str
    base: str
    collection: str | None


class S3Provider(ObjectProvider, HasVersions):
    """Records as objects in an S3 bucket: of AWS, MinIO or any server that speaks S3.

    The object ``<prefix><key>`` holds the data exactly as stored, a CSV as CSV. Metadata, times, expiry and
    types travel in its user metadata, in the same request; what does not fit there goes into an object below
    ``<prefix>.praval/`` that is written first, so that data and metadata always belong together. Objects that
    others wrote have empty metadata and are read by their suffix. Nothing is opened before the first use.

    Writing sends HEAD and PUT, because ``created_at`` of what is replaced stays. With ``overwrite=False`` the
    PUT is conditional (``If-None-Match``): atomic on AWS, MinIO and others that know it; where a server
    answers that it does not, the HEAD before it has to do. A listing tells keys and sizes; metadata takes one
    HEAD for each object, many at a time. Keys come in code point order.

    Without keys AWS's usual chain finds credentials: environment, files, SSO, instance role. They are looked
    up again when S3 says that they have expired.

    Args:
        bucket_name: The bucket, or the ARN of an access point.
        aws_access_key_id: Credential.
        aws_secret_access_key: Credential.
        region_name: Region; AWS's own configuration says it when left out.
        aws_session_token: Credential that goes with temporary keys.
        endpoint_url: Server, for example ``http://localhost:9000``; AWS when left out.
        prefix: What every object name starts with, for example ``"team/"``.
        auto_create: Make the bucket on the first write if it is missing.
        timeout: Seconds until a server that does not answer is given up.
        anon: Send requests unsigned, for public buckets.
        filesystem: A ready ``s3fs.S3FileSystem`` to use instead; it is never closed here.
        max_concurrency: Requests under way at the same time.
        allow_pickle: Write and read pickles. Reading a pickle runs code.

    Raises:
        ConfigurationError: A setting is of the wrong shape, or ``filesystem`` comes with its own credentials.
    """

    libraries = ("s3fs", "aiobotocore", "botocore")

    def __init__(
        self,
        bucket_name: str,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        region_name: str | None = None,
        *,
        aws_session_token: str | None = None,
        endpoint_url: str | None = None,
        prefix: str = "",
        auto_create: bool = False,
        timeout: float = 5.0,
        anon: bool = False,
        filesystem: s3fs.S3FileSystem | None = None,
        max_concurrency: int = 32,
        allow_pickle: bool = False,
    ) -> None:
        super().__init__("s3", allow_pickle=allow_pickle)
        self._is_lent = False
        self._others: dict[tuple[str, bool], Self] = {}
        self.settings = S3Settings(
            bucket_name,
            endpoint_url,
            prefix,
            region_name,
            aws_access_key_id,
            aws_secret_access_key,
            aws_session_token,
            anon,
            auto_create,
            timeout,
            max_concurrency,
        )
        self._filesystem = filesystem
        if filesystem is not None:
            _check_filesystem(filesystem, self.settings)
            self.settings = replace(self.settings, endpoint_url=filesystem.endpoint_url)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        settings = S3Settings.from_env(environ)
        provider = cls(settings.bucket)
        provider.settings = settings
        return provider

    def presign(self, key: str, expires: int = 3600) -> str:
        """A URL that anybody may read the body of a record with, as it is stored.

        It is signed here and nothing is sent: it may be made for a key that is not there yet.

        Args:
            key: Key of the record.
            expires: Seconds it is good for, seven days at most; also no longer than temporary credentials.
        """
        with boundary(self, "presign", key):
            if not 0 < expires <= MAX_SECONDS:
                raise ConfigurationError(f"expires must be between 1 and {MAX_SECONDS} s, not {expires!r}")
            name = self.settings.prefix + self._start + validate_key(key)
            return self._connection.run(self._connection.presigned(name, expires))

    def buckets(self) -> list[str]:
        """The buckets these credentials may list."""
        with boundary(self, "buckets"):
            return self._connection.run(self._connection.buckets())

    def keeps_versions(self) -> bool:
        with boundary(self, "keeps_versions"):
            answer = self._connection.run(self._connection.call("get_bucket_versioning"))
        # "Suspended" keeps what was stored before that, and nothing of what is deleted now.
        return answer.get("Status") == "Enabled"

    def diagnose(self) -> Checkup:
        return examine(self._connection, self.settings.prefix + self._start, read_only=self.read_only)

    # Looking around: a path begins with a bucket

    def home(self) -> str:
        return f"{self.settings.bucket}/{self.settings.prefix}{self._start}"

    def key_at(self, path: str) -> tuple[str | None, str]:
        place = self._place(path)
        return place.collection, place.path.removesuffix("/")

    def look(self, request: Look) -> Seen:
        if not request.path:
            return self._bucket_list(request)
        place = self._place(request.path)
        seen = super(S3Provider, place.provider).look(replace(request, path=place.path))
        places = [replace(each, path=place.base + each.path) for each in seen.places]
        return replace(seen, places=places, collection=place.collection)

    def measure(self, path: str) -> Iterator[Measured]:
        if not path:
            path = self.home()
        place = self._place(path)
        return super(S3Provider, place.provider).measure(place.path)

    def in_collection(self, name: str) -> Self:
        """The same connection bound to one of its folders, or to ``s3://bucket`` or ``s3://bucket/folder``.

        ``""`` = where the provider itself began.
        """
        if not name.startswith(SCHEME):
            return super().in_collection(name)
        bucket, _, folder = name.removeprefix(SCHEME).partition("/")
        other = self._in_bucket(bucket)
        return super(S3Provider, other).in_collection(folder) if folder else other

    @property
    def collection(self) -> str:
        """What every key has in front; of another bucket than the provider was made for ``s3://bucket``."""
        inner = super().collection
        if not self._is_lent:
            return inner
        return f"{SCHEME}{self.settings.bucket}/{inner}".removesuffix("/")

    def close(self) -> None:
        for other in self._others.values():
            other.close()
        super().close()

    def _place(self, path: str) -> _Place:
        """Where a path is: in this provider, or in another of the whole bucket it names."""
        path, home = as_folder(path), self.home()
        if path.startswith(home):
            return _Place(self, path.removeprefix(home), home, None)
        own = f"{self.settings.bucket}/"  # that of an access point has slashes, too
        bucket = self.settings.bucket if path.startswith(own) else path.partition("/")[0]
        base = f"{bucket}/"
        return _Place(self._in_bucket(bucket), path.removeprefix(base), base, f"{SCHEME}{bucket}")

    def _in_bucket(self, bucket: str) -> Self:
        known = bucket, self.read_only  # a read-only view has the same ones, but for writing
        if known not in self._others:
            settings = replace(self.settings, bucket=bucket, prefix="", auto_create=False)
            other = copy(self)
            other.__dict__.pop("_store", None)
            vars(other).update(settings=settings, _start="", _is_lent=True, _others={})
            self._others[known] = other
        return copy(self._others[known])

    def _bucket_list(self, request: Look) -> Seen:
        own, note = self.settings.bucket, ""
        try:
            names = sorted({*self.buckets(), own})
        except StoragePermissionError:
            names, note = [own], "These credentials may not list buckets, so only the provider's own is shown"
        return in_places(
            request, [Place(f"{name}/", name, "bucket", True, True) for name in names], "ListBuckets", note
        )

    def secrets(self) -> Iterable[str]:
        given = self.settings
        return filter(None, (given.secret_access_key, given.session_token, given.access_key_id))

    def __getstate__(self) -> dict[str, Any]:
        if self._filesystem is not None:
            raise ConfigurationError(
                "A provider made with filesystem= cannot be pickled",
                hint="Make it with keys and endpoint_url=",
            )
        return {**super().__getstate__(), "_others": {}}

    @property
    def place(self) -> str:
        start = f"{self.settings.bucket}/{self.settings.prefix}{self._start}".rstrip("/")
        return f"{start!r} at {self.settings.where}"

    def _make_store(self) -> S3Store:
        return S3Store(Connection(self.settings, self._filesystem), self._foreign_format)

    @property
    def _connection(self) -> Connection:
        store = self._store
        assert isinstance(store, S3Store)  # noqa: S101 - made above
        return store.connection


def _check_filesystem(filesystem: s3fs.S3FileSystem, settings: S3Settings) -> None:
    if settings.access_key_id or settings.endpoint_url or settings.region or settings.anon:
        raise ConfigurationError(
            "filesystem is given together with credentials, region or endpoint_url",
            hint="It brings its own",
        )
    if filesystem.asynchronous:
        raise ConfigurationError(
            "The given filesystem was made with asynchronous=True",
            hint="Make it without: it works in notebooks",
        )
