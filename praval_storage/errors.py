"""Everything that can go wrong, as one tree. Each error is also the builtin a caller would catch.

StorageError
├── ConfigurationError            (ValueError)
├── InvalidFilterError            (ValueError)
├── InvalidKeyError               (ValueError)
├── KeyExistsError                (FileExistsError)
├── KeyNotFoundError              (LookupError)
├── ProviderNotRegisteredError    (LookupError)
├── SerializationError            (TypeError)
├── StorageConnectionError        (ConnectionError)
├── StoragePermissionError        (PermissionError)
├── StorageTimeoutError           (TimeoutError)
├── TransactionError              (RuntimeError)
└── UnsupportedOperationError     (NotImplementedError)
"""

from __future__ import annotations

from typing import Any


class StorageError(Exception):
    """A storage operation failed: the root of every error this package raises.

    The text names the provider, the operation, the key, the cause and what to do about it;
    the same facts are attributes. It never holds a secret.
    """

    provider: str | None
    operation: str | None
    key: str | None
    hint: str | None

    def __init__(
        self,
        message: str = "",
        *,
        provider: str | None = None,
        operation: str | None = None,
        key: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.operation = operation
        self.key = key
        self.hint = hint

    def __str__(self) -> str:
        where = [
            f"{name} {value!r}" if name != "operation" else str(value)
            for name in ("provider", "operation", "key")
            if (value := getattr(self, name)) is not None and repr(value) not in self.message
        ]
        text = f"{self.message} ({', '.join(where)})" if where else self.message
        return f"{text}. {self.hint}" if self.hint else text

    def __reduce__(self) -> Any:
        # OSError's own __reduce__ would drop the context of the errors that inherit from it.
        return _rebuild, (type(self), self.message, self.provider, self.operation, self.key, self.hint)

    def within(self, provider: str, operation: str, key: str | None) -> StorageError:
        """This error with the facts it does not have yet filled in; what it says already stays."""
        self.provider = self.provider or provider
        self.operation = self.operation or operation
        self.key = self.key if self.key is not None else key
        return self


def text_of(error: BaseException) -> str:
    """What an exception says; one of others may fail even at that."""
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001
        return "<exception str() failed>"  # as in a traceback


def _rebuild(
    kind: type[StorageError], message: str, provider: str, operation: str, key: str, hint: str
) -> StorageError:
    return kind(message, provider=provider, operation=operation, key=key, hint=hint)


class ConfigurationError(StorageError, ValueError):
    """A setting is missing, contradictory or of the wrong shape."""


class InvalidFilterError(StorageError, ValueError):
    """A filter names an unknown operator or gives one an operand of the wrong shape."""


class InvalidKeyError(StorageError, ValueError):
    """A key breaks the key rules (see :func:`praval_storage.keys.validate_key`)."""


class KeyExistsError(StorageError, FileExistsError):
    """``overwrite=False`` and a record with this key is there already."""


class KeyNotFoundError(StorageError, LookupError):
    """There is no record with this key, or it has expired."""


class ProviderNotRegisteredError(StorageError, LookupError):
    """No provider is registered under this storage type."""


class SerializationError(StorageError, TypeError):
    """The data cannot be written in, or read from, the format in question without losing something."""


class StorageConnectionError(StorageError, ConnectionError):
    """The backend could not be reached, or the connection was lost."""


class StoragePermissionError(StorageError, PermissionError):
    """The backend refused the credentials or the operation."""


class StorageTimeoutError(StorageError, TimeoutError):
    """The backend did not answer in time."""


class TransactionError(StorageError, RuntimeError):
    """A transaction is over, or was rolled back and not all of it could be undone.

    Attributes:
        report: The ``TransactionReport``: what was undone and what could not be; ``None`` when nothing was
            rolled back.
    """

    report: Any = None

    def __reduce__(self) -> Any:
        rest = [] if self.report is None else [{"report": self.report}]
        return (*super().__reduce__(), *rest)


class UnsupportedOperationError(StorageError, NotImplementedError):
    """This provider cannot do what was asked; the text names those that can."""
