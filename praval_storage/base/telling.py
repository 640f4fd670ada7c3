"""What may be told of a provider and its errors; none of it fails, whatever the provider does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from praval_storage.errors import text_of
from praval_storage.settings import Setting, described

if TYPE_CHECKING:
    from praval_storage.base.provider import BaseStorageProvider


def told(provider: BaseStorageProvider, error: BaseException) -> str:
    """What an error says, secrets of the provider blotted out."""
    text = text_of(error)
    secrets = _secrets(provider)
    if secrets is None:
        return "its text is not shown: the provider cannot tell its secrets"
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def settings_of(provider: BaseStorageProvider) -> list[Setting]:
    """The settings of a provider as they may be shown."""
    secrets = _secrets(provider)
    return [] if secrets is None else described(getattr(provider, "settings", None), secrets)


def _secrets(provider: BaseStorageProvider) -> list[str] | None:
    """Texts not to be shown; ``None`` = which they are cannot be had."""
    try:
        return [str(secret) for secret in provider.secrets() if secret]
    except Exception:  # noqa: BLE001 - it must not take the place of the error that is told of
        return None
