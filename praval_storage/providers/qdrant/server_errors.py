"""What goes wrong between us and a Qdrant server, in our words: what was tried, why it failed, the cure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from praval_storage.errors import (
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)


@contextmanager
def translated(place: str, timeout: float) -> Iterator[None]:
    """The error boundary around every call of the client."""
    try:
        yield
    except StorageError:
        raise
    except UnexpectedResponse as error:
        raise refused(error, place) from error
    except (ResponseHandlingException, httpx.HTTPError, OSError) as error:
        raise _unreachable(error, place, timeout) from error
    except ApiException as error:
        raise StorageError(f"Qdrant at {place}: {error}") from error


def refused(error: UnexpectedResponse, place: str) -> StorageError:
    """The error of ours that a refusal of the server stands for."""
    text = f"Qdrant at {place} answered {error.status_code}: {error.content.decode(errors='replace')[:500]}"
    if error.status_code in {401, 403}:
        return StoragePermissionError(text, hint="Check api_key or QDRANT_API_KEY")
    if error.status_code in {408, 504}:
        return StorageTimeoutError(text)
    return StorageError(text)


def _unreachable(error: Exception, place: str, timeout: float) -> StorageError:
    cause = error.source if isinstance(error, ResponseHandlingException) else error
    if isinstance(cause, (httpx.TimeoutException, TimeoutError)) and not isinstance(
        cause, httpx.ConnectTimeout
    ):
        return StorageTimeoutError(
            f"Qdrant at {place} did not answer within {timeout:g} s",
            hint="Raise timeout=, or ask for less at once",
        )
    return StorageConnectionError(
        f"Could not connect to Qdrant at {place}: {cause}",
        hint="Start the server or correct QDRANT_URL; without a URL the embedded engine is used",
    )
