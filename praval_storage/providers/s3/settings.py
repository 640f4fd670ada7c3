"""Which bucket, where, and as whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from praval_storage.errors import ConfigurationError
from praval_storage.keys import RESERVED_PREFIX
from praval_storage.settings import Settings, gather, make, variables

MAX_PREFIX_BYTES = 400
"""An object name has 1,024 bytes at most, and a key 512 of them."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}|arn:[^/]+[:/][^/]+(/[^/]+)*")


@dataclass(frozen=True, slots=True)
class S3Settings(Settings):
    """Which bucket, where, and as whom.

    Attributes:
        bucket: Name of the bucket, or ARN of an access point.
        endpoint_url: Server; ``None`` = AWS, or what AWS's own configuration says.
        prefix: What every object name starts with.
        region: Region; ``None`` = what AWS's own configuration says.
        access_key_id: Credential; ``None`` = AWS's usual chain (environment, files, SSO, instance role).
        secret_access_key: Credential.
        session_token: Credential that goes with temporary keys.
        anon: Send requests unsigned, for public buckets.
        auto_create: Make the bucket on the first write if it is missing.
        timeout: Seconds until a server that does not answer is given up.
        max_concurrency: Requests under way at the same time.
    """

    bucket: str = field(metadata=variables("AWS_S3_BUCKET", "S3_BUCKET_NAME"))
    endpoint_url: str | None = field(
        default=None, metadata=variables("S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    )
    prefix: str = ""
    region: str | None = field(default=None, metadata=variables("AWS_REGION", "AWS_DEFAULT_REGION"))
    access_key_id: str | None = field(default=None, repr=False, metadata=variables("AWS_ACCESS_KEY_ID"))
    secret_access_key: str | None = field(
        default=None, repr=False, metadata=variables("AWS_SECRET_ACCESS_KEY")
    )
    session_token: str | None = field(default=None, repr=False, metadata=variables("AWS_SESSION_TOKEN"))
    anon: bool = False
    auto_create: bool = False
    timeout: float = 5.0
    max_concurrency: int = 32

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise ConfigurationError(
                f"{self.bucket!r} cannot be the name of a bucket",
                hint="Give the name alone; folders go into prefix=, the server into endpoint_url=",
            )
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ConfigurationError(
                "aws_access_key_id and aws_secret_access_key go together: one is missing"
            )
        if self.timeout <= 0 or self.max_concurrency < 1:
            raise ConfigurationError("timeout must be positive, max_concurrency at least 1")
        _check_prefix(self.prefix)
        _check_endpoint(self.endpoint_url)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """``AWS_S3_BUCKET``, keys, region and endpoint.

        Names: ``AWS_S3_BUCKET`` or ``S3_BUCKET_NAME``; ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and
        ``AWS_SESSION_TOKEN``; ``AWS_REGION`` or ``AWS_DEFAULT_REGION``; ``S3_ENDPOINT_URL``,
        ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL``.

        Raises:
            ConfigurationError: No bucket is named.
        """
        found = gather(cls, environ)
        if "bucket" not in found.values:
            raise ConfigurationError("No bucket is configured", hint="Set AWS_S3_BUCKET")
        if "access_key_id" not in found.values:
            found = found.without({"session_token"})  # as AWS's own tools do: it belongs to a pair of keys
        return make(cls, found)

    @property
    def where(self) -> str:
        """The server, in messages."""
        return self.endpoint_url or "AWS"


def _check_prefix(prefix: str) -> None:
    is_reserved = f"/{RESERVED_PREFIX}" in f"/{prefix}"
    is_legal = prefix.isprintable() and not prefix.startswith("/") and not is_reserved
    if not is_legal or len(prefix.encode()) > MAX_PREFIX_BYTES:
        raise ConfigurationError(
            f"{prefix!r} cannot be a prefix", hint="For example 'team/' puts every object below that folder"
        )


def _check_endpoint(url: str | None) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if "@" in parts.netloc:
        # Driver errors and tracebacks would show it.
        raise ConfigurationError(
            "endpoint_url holds credentials", hint="Use aws_access_key_id= and its secret"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(
            f"endpoint_url {url!r} is no URL of a server", hint="For example http://localhost:9000"
        )
