"""What goes wrong between us and a Redis server, in our words: what was tried, why it failed, the cure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import redis

from praval_storage.errors import (
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
    UnsupportedOperationError,
)

_REFUSALS: dict[str, tuple[type[StorageError], str]] = {
    "OOM": (StorageError, "Redis is full: raise maxmemory, set a maxmemory-policy that evicts, or delete"),
    "MISCONF": (StorageError, "Redis cannot write its snapshot: look at its log and its disk"),
    "NOREPLICAS": (StorageError, "Too few replicas answer: see min-replicas-to-write"),
    "READONLY": (StoragePermissionError, "This is a read-only replica: connect to the primary"),
    "NOPERM": (StoragePermissionError, "Ask for an ACL that allows it, or connect as another user"),
    "NOAUTH": (StoragePermissionError, "Pass password= (and username=), or set REDIS_PASSWORD"),
    "WRONGPASS": (StoragePermissionError, "Check password and username, or REDIS_PASSWORD"),
    "WRONGTYPE": (UnsupportedOperationError, "The key holds no string: store replaces it"),
    "MOVED": (UnsupportedOperationError, "This is a cluster: connect to a single server or a proxy of it"),
    "CROSSSLOT": (UnsupportedOperationError, "This is a cluster: connect to a single server or a proxy"),
    "DB index": (StorageConnectionError, "Choose a database the server has (CONFIG GET databases): db="),
    "LOADING": (StorageConnectionError, "Redis is still loading its data: try again in a moment"),
    "BUSY": (StorageTimeoutError, "A script is running on the server: try again in a moment"),
    "unknown command": (UnsupportedOperationError, "The server is too old or has the command disabled"),
}
# The driver takes the code off the text of errors it has a class for; not every version has each class.
_CODES = {"NoPermissionError": "NOPERM", "ReadOnlyError": "READONLY", "OutOfMemoryError": "OOM"}
_IN_SCRIPT = re.compile(r"^(.*@user_script: ?\d+: )?-?", re.DOTALL)
_DENIED = (
    redis.AuthenticationError,
    redis.exceptions.AuthorizationError,
    redis.exceptions.AuthenticationWrongNumberOfArgsError,
)


@contextmanager
def translated(place: str, timeout: float, secrets: Iterable[str] = ()) -> Iterator[None]:
    """The error boundary around every call of the driver."""
    try:
        yield
    except _DENIED as error:
        raise _denied(place, _clean(error, secrets)) from error
    except redis.ConnectionError as error:
        raise _unreachable(place, _clean(error, secrets)) from error
    except redis.TimeoutError as error:
        raise _late(place, timeout, str(error)) from error
    except redis.ResponseError as error:
        code = _CODES.get(type(error).__name__, "")
        raise refusal(place, f"{code} {_clean(error, secrets)}".lstrip()) from error
    except redis.RedisError as error:
        raise StorageError(f"Redis at {place}: {_clean(error, secrets)}") from error


def refusal(place: str, text: str) -> StorageError:
    """The error of ours that a refusal of the server stands for."""
    text = _IN_SCRIPT.sub("", text).strip()
    for start, (kind, hint) in _REFUSALS.items():
        if text.startswith(start):
            named = "Could not connect to Redis" if kind is StorageConnectionError else "Redis"
            return kind(f"{named} at {place}: {text}", hint=hint)
    return StorageError(f"Redis at {place}: {text}")


def silent(place: str, timeout: float) -> StorageError:
    """The error for a server that has never answered."""
    return StorageConnectionError(
        f"Could not connect to Redis at {place} within {timeout:g} s",
        hint="Check host, port and ssl, and whether a firewall is between",
    )


def _denied(place: str, text: str) -> StorageError:
    return StoragePermissionError(
        f"Redis at {place} refused the credentials: {text}",
        hint="Check password and username, or REDIS_PASSWORD and REDIS_USERNAME",
    )


def _unreachable(place: str, text: str) -> StorageError:
    if "Too many connections" in text or "No connection available" in text:
        return StorageConnectionError(
            f"Could not connect to Redis at {place}: {text}", hint="Raise max_connections of the client"
        )
    if "while writing to socket" in text:
        return StorageConnectionError(
            f"The connection to Redis at {place} was lost: {text}",
            hint="Check that it is running. It also hangs up on a value larger than its proto-max-bulk-len"
            " (512 MB by default): store that on filesystem or s3, and its reference here",
        )
    return StorageConnectionError(
        f"Could not connect to Redis at {place}: {text}",
        hint="Check that it is running (redis-cli ping), and host, port and ssl",
    )


def _late(place: str, timeout: float, text: str) -> StorageError:
    if "connecting" in text:
        return silent(place, timeout)
    return StorageTimeoutError(
        f"Redis at {place} did not answer within {timeout:g} s",
        hint="Raise timeout=, or ask for less at once",
    )


def _clean(error: Exception, secrets: Iterable[str]) -> str:
    text = str(error) or type(error).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
