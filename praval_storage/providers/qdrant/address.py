"""The URL of a server, and the login it may hold, apart from each other: only the first is ever shown."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from praval_storage.errors import ConfigurationError

_PORT = 6333


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is.

    Attributes:
        url: With the port, without login, query and fragment.
        user: Of ``https://user:password@host``, for a proxy before the server.
        password: Likewise.
        quoted: The password as it stood in the URL.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    quoted: str | None = field(default=None, repr=False)

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password, when there are any."""
        return None if self.user is None else (self.user, self.password or "")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password in each form it is written or sent in."""
        if not self.password:
            return ()
        sent = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return (self.password, self.quoted or self.password, sent)


def parse_address(url: str) -> Address:
    """Take a URL apart; one without a scheme is that of ``QdrantClient``: ``localhost:6333``.

    Raises:
        ConfigurationError: It is no URL of a server. What was given is not repeated: it may hold a password.
    """
    parts = _split(url)
    if parts is None:
        raise ConfigurationError(
            "url is not the URL of a server",
            hint="Write it like http://localhost:6333; quote special characters of a password with %",
        )
    host = parts.netloc.rpartition("@")[2]
    if parts.port is None:
        host = f"{host.rstrip(':')}:{_PORT}"  # as the client has it, whatever the scheme
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    where = f"{scheme}{host}{parts.path.rstrip('/')}"
    if parts.username is None:
        return Address(where)
    quoted = parts.password or ""
    return Address(where, unquote(parts.username), unquote(quoted), quoted)


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        reachable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    # An unquoted slash or hash in a password ends the host, and the rest would be taken for a path.
    plain = url.isprintable() and " " not in url and "@" not in f"{parts.path}{parts.query}{parts.fragment}"
    return parts if reachable and plain and parts.scheme in {"", "http", "https"} else None
