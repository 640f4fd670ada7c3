"""Asking every provider what is the matter with it: all at once, so that none hides another."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from threading import Thread
from time import monotonic, perf_counter

from praval_storage.base import BaseStorageProvider, settings_of, told
from praval_storage.diagnosis import Diagnosis, DoctorReport, Finding
from praval_storage.errors import StorageError, text_of
from praval_storage.provider_set import ProviderSet


def examine(providers: ProviderSet, timeout: float) -> DoctorReport:
    """Diagnose all providers at once.

    Args:
        providers: The providers.
        timeout: Seconds until one that neither answers nor gives up is left behind.
    """
    found: dict[str, Diagnosis] = {}
    # Threads that nobody waits for at exit: one that hangs must not keep the process.
    threads = {name: Thread(target=partial(_note, providers, name, found), daemon=True) for name in providers}
    for thread in threads.values():
        thread.start()
    deadline = monotonic() + timeout
    for thread in threads.values():
        thread.join(max(0.0, deadline - monotonic()))
    late = Diagnosis("down", f"No answer within {timeout:g} s", "StorageTimeoutError", "Ask again later")
    return DoctorReport(
        {name: found.get(name) or replace(late, read_only=providers.is_read_only(name)) for name in threads},
        str(providers.environ or ""),
    )


def _note(providers: ProviderSet, name: str, found: dict[str, Diagnosis]) -> None:
    started = perf_counter()
    try:
        found[name] = _diagnosed(providers, name)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the doctor is asked for
        found[name] = _down(text_of(error), error, providers.is_read_only(name), perf_counter() - started)


def _diagnosed(providers: ProviderSet, name: str) -> Diagnosis:
    provider = providers[name]
    started = perf_counter()
    try:
        providers.call(name, "health", None, provider.health, again=False)
        seconds = perf_counter() - started
        server, findings = _checked(providers, name, provider)
        state = Diagnosis("up", seconds=seconds, server=server, findings=findings)
    except Exception as error:  # noqa: BLE001 - as above
        state = _down(told(provider, error), error, provider.read_only, perf_counter() - started)
    return replace(
        state,
        read_only=provider.read_only,
        libraries={library: _version(library) for library in provider.libraries},
        settings=tuple(settings_of(provider)),
    )


def _checked(
    providers: ProviderSet, name: str, provider: BaseStorageProvider
) -> tuple[str, tuple[Finding, ...]]:
    """The provider's own part. That it fails, on a backend that answers, is a finding."""
    try:
        checkup = providers.call(name, "diagnose", None, provider.diagnose, again=False)
    except StorageError as error:
        reason = Finding(f"It answers, but could not be looked at further: {error.message}", error.hint or "")
        return "", (reason,)
    return checkup.server, tuple(checkup.findings)


def _down(text: str, error: Exception, read_only: bool, seconds: float) -> Diagnosis:
    cure = getattr(error, "hint", None) or ""
    return Diagnosis("down", text, type(error).__name__, cure, seconds, read_only)


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
