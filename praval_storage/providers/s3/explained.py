"""What went wrong with a request, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from praval_storage.errors import (
    ConfigurationError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)
from praval_storage.providers.s3.settings import S3Settings

STALE = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken"}
    | {"TokenRefreshRequired", "RequestExpired"}
)
"""Codes of credentials that were good once, or may be next time."""
REFUSED = STALE | {"SignatureDoesNotMatch", "AuthFailure", "NotSignedUp", "InvalidSecurity"}
DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"})
ELSEWHERE = frozenset(
    {"301", "307", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
BUSY = frozenset({"SlowDown", "503", "ServiceUnavailable", "InternalError", "500", "502", "OperationAborted"})
CONFLICT = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})
"""Codes of a conditional write whose condition did not hold."""

_ANSWERED_NOT = (aws.ConnectionError, aws.HTTPClientError, ResponseParserError, ConnectionError)
_NO_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.NoAuthTokenError,
    aws.TokenRetrievalError,
    aws.SSOError,
)


def code_of(error: BaseException) -> str | None:
    """The code S3 answered with, if it answered."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, aws.ClientError):
        found = found.__cause__
    return None if found is None else str(found.response.get("Error", {}).get("Code"))


@contextmanager
def explained(settings: S3Settings) -> Iterator[None]:
    """What the driver raises as an error of ours with its cure, where there is something to say."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        code = code_of(error)
        found = _no_answer(error, settings) if code is None else _answer(code, settings)
        if found is None:
            raise
        raise found from error


def missing_bucket(settings: S3Settings) -> ConfigurationError:
    """The error for a bucket that is not there and must not be made."""
    return ConfigurationError(
        f"There is no bucket {settings.bucket!r} at {settings.where}",
        hint="Check its name and endpoint_url, make it, or pass auto_create=True",
    )


def _answer(code: str, settings: S3Settings) -> StorageError | None:
    place = f"bucket {settings.bucket!r} at {settings.where}"
    if code == "NoSuchBucket":
        return missing_bucket(settings)
    if code in REFUSED:
        return StoragePermissionError(
            f"S3 does not accept the credentials for {place} ({code})",
            hint="Check access key, secret key and session token; they may have expired",
        )
    if code in DENIED:
        return StoragePermissionError(
            f"S3 does not allow this in {place} ({code})",
            hint="The credentials may lack the right. Without s3:ListBucket S3 says so of missing keys, too",
        )
    if code in ELSEWHERE:
        return ConfigurationError(
            f"The {place} is in another region ({code})", hint="Pass its region: region_name='eu-central-1'"
        )
    if code in BUSY:
        return StorageConnectionError(f"S3 is too busy for {place} ({code})", hint="Try again a little later")
    if code == "BucketAlreadyExists":
        return StoragePermissionError(f"The {place} belongs to somebody else", hint="Choose another name")
    if code == "InvalidObjectState":
        return StoragePermissionError(
            f"The object in {place} is archived ({code})", hint="Restore it from Glacier before reading it"
        )
    if code == "RequestTimeTooSkewed":
        return StoragePermissionError(f"The clocks differ ({code})", hint="Set the clock of this machine")
    return None


def _no_answer(error: Exception, settings: S3Settings) -> StorageError | None:
    where = settings.where
    if isinstance(error, aws.ReadTimeoutError):
        return StorageTimeoutError(f"{where} has stopped answering", hint="Try again, or raise timeout=")
    if isinstance(error, TimeoutError | aws.ConnectTimeoutError):
        return StorageConnectionError(
            f"No answer from {where} in time (timeout={settings.timeout:g} s)",
            hint="Check endpoint_url, network and firewall, or raise timeout=",
        )
    if isinstance(error, _ANSWERED_NOT):
        return StorageConnectionError(
            f"Cannot talk S3 with {where}: {type(error).__name__}",
            hint="Is it running, and are host, port and http/https of endpoint_url right?",
        )
    if isinstance(error, _NO_CREDENTIALS):
        return StoragePermissionError(
            f"No credentials for {where}: {error}",
            hint="Pass aws_access_key_id and aws_secret_access_key, or anon=True for a public bucket",
        )
    if isinstance(error, aws.ProfileNotFound | aws.ParamValidationError | aws.EndpointResolutionError):
        return ConfigurationError(str(error))
    return None
