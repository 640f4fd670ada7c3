"""What these credentials may do with a bucket, found out without changing anything in it."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex
from typing import Any

from praval_storage.diagnosis import Checkup, Finding
from praval_storage.errors import ConfigurationError, StoragePermissionError
from praval_storage.keys import RESERVED_PREFIX
from praval_storage.providers._objects.silent import silent_options
from praval_storage.providers.s3.connection import Connection

_CURE = "Add {} to the policy of this user or role"


def examine(connection: Connection, prefix: str, *, read_only: bool) -> Checkup:
    """Look at a bucket.

    Args:
        connection: To it.
        prefix: What every object name starts with.
        read_only: Whether nothing will be written.
    """
    rights = Rights(connection, prefix)
    silent = [*silent_options(("s3", "s3a"))]
    try:
        found = [*silent, *rights.missing(read_only=read_only)]
    except ConfigurationError:  # no bucket yet: the first write makes it, or health would not have answered
        found = silent
    return Checkup(rights.server, found)


class Rights:
    """Asks for what would need a right, and sees whether it is refused.

    Attributes:
        server: What the server calls itself.
    """

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix
        self._name = f"{prefix}{RESERVED_PREFIX}/doctor-{token_hex(8)}"
        self.server = ""

    def missing(self, *, read_only: bool) -> Iterator[Finding]:
        """The rights that are missing."""
        may_list = self._may("list_objects_v2", MaxKeys=1, Prefix=self._prefix)
        if not may_list:
            yield Finding(
                "The bucket may not be listed, so queries fail and missing keys look forbidden",
                _CURE.format("s3:ListBucket"),
            )
        elif not self._may("head_object", Key=self._name):
            yield Finding("Objects may not be read", _CURE.format("s3:GetObject"))
        if not read_only and not self._may_write():
            yield Finding(
                "Objects may not be written",
                f"{_CURE.format('s3:PutObject')}, or register it with read_only=True",
            )

    def _may_write(self) -> bool:
        """Begin an upload and give it up: no object comes of it, and none is replaced."""
        begun = self._ask("create_multipart_upload", Key=self._name)
        if begun:
            self._ask("abort_multipart_upload", Key=self._name, UploadId=begun["UploadId"])
        return begun is not None

    def _may(self, method: str, **parameters: Any) -> bool:
        return self._ask(method, **parameters) is not None

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any] | None:
        """The answer, empty for what is not there; ``None`` = refused."""
        try:
            answer = self._connection.run(self._connection.call(method, **parameters))
        except FileNotFoundError:
            return {}
        except StoragePermissionError:
            return None
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        self.server = self.server or str(headers.get("server", ""))
        return answer
