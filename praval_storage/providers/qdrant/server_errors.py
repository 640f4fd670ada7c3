"""What goes wrong between us and a Qdrant server, in our words: what was tried, why it failed, the cure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from json import JSONDecodeError
from traceback import format_exception
from typing import Final

import httpx
from grpc import RpcError, StatusCode  # type: ignore[import-untyped]  # it ships no annotations
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from praval_storage.errors import (
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)

REFUSALS: Final = (UnexpectedResponse, RpcError, ValueError)
"""What a refused request raises: over HTTP, over gRPC, and in the client's local mode."""

_LONGEST = 800
_UNREADY = "0 of 0 read operations failed"
_START = "Start the server or correct QDRANT_URL; without a URL the embedded engine is used"
_KEY = "Check api_key or QDRANT_API_KEY"
_WAIT = "Raise timeout=, or ask for less at once"
_OTHER = "Something else listens there: check port and path of QDRANT_URL (Qdrant's own port is 6333)"
_INDEX = "The collection is in strict mode: make a payload index on the field, or relax the mode"

_KINDS: Mapping[int, tuple[type[StorageError], str | None]] = {
    HTTPStatus.UNAUTHORIZED: (StoragePermissionError, _KEY),
    HTTPStatus.FORBIDDEN: (StoragePermissionError, _KEY),
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: (StoragePermissionError, None),
    HTTPStatus.REQUEST_TIMEOUT: (StorageTimeoutError, _WAIT),
    HTTPStatus.GATEWAY_TIMEOUT: (StorageTimeoutError, _WAIT),
    # A proxy whose server is away: trying again may help.
    HTTPStatus.BAD_GATEWAY: (StorageConnectionError, _START),
    HTTPStatus.SERVICE_UNAVAILABLE: (StorageConnectionError, _START),
}
_GRPC_KINDS: Mapping[StatusCode, tuple[type[StorageError], str | None]] = {
    StatusCode.UNAUTHENTICATED: (StoragePermissionError, _KEY),
    StatusCode.PERMISSION_DENIED: (StoragePermissionError, _KEY),
    StatusCode.DEADLINE_EXCEEDED: (StorageTimeoutError, _WAIT),
    StatusCode.UNAVAILABLE: (StorageConnectionError, _START),
}


@contextmanager
def translated(place: str, timeout: float, secrets: Sequence[str]) -> Iterator[None]:
    """The error boundary around every call of the client."""
    try:
        yield
    except (ApiException, QdrantException, RpcError, httpx.HTTPError, OSError, JSONDecodeError) as error:
        if isinstance(error, StorageError):
            raise
        # A traceback shows the driver's own text, which may repeat what was sent.
        shown = "".join(format_exception(error))
        leaks = any(secret in shown for secret in secrets)
        raise _blotted(_ours(error, place, timeout), secrets) from (None if leaks else error)


def silent(place: str, seconds: float) -> StorageError:
    """The error for a server that has never answered."""
    return StorageConnectionError(
        f"Could not connect to Qdrant at {place}: no answer within {seconds:g} s", hint=_START
    )


def is_missing(error: Exception) -> bool:
    """Whether a refusal says that there is no such collection."""
    match error:
        case UnexpectedResponse():
            return error.status_code == HTTPStatus.NOT_FOUND and _is_of_qdrant(error)
        case RpcError():
            return error.code() is StatusCode.NOT_FOUND
        case _:
            return "not found" in str(error)


def is_coming_up(error: Exception) -> bool:
    """Whether a refusal says that a collection cannot be read yet: its shards are still being made."""
    match error:
        case UnexpectedResponse():
            return error.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and _UNREADY in str(error.content)
        case RpcError():
            return error.code() is StatusCode.INTERNAL and _UNREADY in (error.details() or "")
        case _:
            return False


def _is_of_qdrant(error: UnexpectedResponse) -> bool:
    """Whether a refusal is the server's own, and not that of something else on its port."""
    try:
        return "status" in error.structured()
    except (ValueError, TypeError):
        return False


def _blotted(error: StorageError, secrets: Sequence[str]) -> StorageError:
    text = error.message
    for secret in secrets:
        text = text.replace(secret, "***")
    return type(error)(text[:_LONGEST], hint=error.hint)


def _ours(error: Exception, place: str, timeout: float) -> StorageError:
    match error:
        case UnexpectedResponse():
            return _refused(error, place)
        case JSONDecodeError() | ResponseHandlingException(source=ValidationError()):
            return StorageConnectionError(f"What answers at {place} is not Qdrant", hint=_OTHER)
        case ResponseHandlingException():
            return _unreachable(error.source, place, timeout)
        case httpx.HTTPError() | OSError():
            return _unreachable(error, place, timeout)
        case RpcError():
            return _refused_by_grpc(error, place)
        case _:
            return StorageError(f"Qdrant at {place}: {error}")


def _refused(error: UnexpectedResponse, place: str) -> StorageError:
    text = error.content.decode(errors="replace")
    said = f"Qdrant at {place} answered {error.status_code}: {text or error.reason_phrase}"
    if error.status_code == HTTPStatus.NOT_FOUND and not is_missing(error):
        return StorageConnectionError(said, hint=_OTHER)
    if "Index required" in text:
        return StorageError(said, hint=_INDEX)
    kind, hint = _KINDS.get(error.status_code or 0, (StorageError, None))
    return kind(said, hint=hint)


def _refused_by_grpc(error: RpcError, place: str) -> StorageError:
    # The client raises the subclass that is a call as well.
    code, details = error.code(), error.details()
    kind, hint = _GRPC_KINDS.get(code, (StorageError, None))
    return kind(f"Qdrant at {place} answered {code.name}: {details}", hint=hint)


def _unreachable(cause: Exception, place: str, timeout: float) -> StorageError:
    late = isinstance(cause, (httpx.TimeoutException, TimeoutError))
    if late and not isinstance(cause, httpx.ConnectTimeout):
        return StorageTimeoutError(f"Qdrant at {place} did not answer within {timeout:g} s", hint=_WAIT)
    said = str(cause) or type(cause).__name__
    return StorageConnectionError(f"Could not connect to Qdrant at {place}: {said}", hint=_START)
