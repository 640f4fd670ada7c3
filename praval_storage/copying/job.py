"""What is to go where: the references of one call, the keys of their copies, and one outcome for each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

from praval_storage.copying.parcels import Parcel, addressed, failed
from praval_storage.copying.progress import Progress, Report, reporting
from praval_storage.copying.route import Job, Route
from praval_storage.copying.transfer import transfer
from praval_storage.errors import ConfigurationError, StorageError, UnsupportedOperationError
from praval_storage.keys import validate_key
from praval_storage.provider_set import ProviderSet
from praval_storage.reference import DataReference
from praval_storage.results import BatchResult, Outcome, SearchResult
from praval_storage.results.sequence import RowSequence
from praval_storage.writing import Reference, Target, named

Keys = str | Callable[[DataReference], str] | None
Source = Reference | Iterable[Reference] | RowSequence[object]


def copy(
    providers: ProviderSet, job: Job, source: Source, key: Keys, progress: Progress
) -> DataReference | BatchResult:
    """Copy or move one record, whose failure is raised, or many, with one outcome for each."""
    providers.check_writable(job.target.storage_type, job.operation)
    if isinstance(source, str | DataReference):
        reference = named(source)
        new = key(reference) if callable(key) else key
        parcel = Parcel(reference, reference.key if new is None else validate_key(new))
        _check_originals(providers, job, [parcel])
        [outcome] = _carried(providers, job, [parcel], lambda _: None).values()
        copied: DataReference = outcome.unwrap()
        return copied
    if isinstance(key, str):
        raise ConfigurationError(
            "One key cannot be that of many copies",
            hint="Pass a function of the reference, as in key=lambda reference: f'old/{reference.key}'",
        )
    return BatchResult(_many(providers, job, _references(source), key, progress))


def _references(source: Iterable[Reference] | RowSequence[object]) -> list[Reference]:
    if not isinstance(source, RowSequence):
        given: object = source  # notebooks are not type-checked
        if not isinstance(given, Iterable):
            raise ConfigurationError(f"Expected references or a result, not {type(given).__name__}")
        return list(source)
    if "" in source.keys:
        raise UnsupportedOperationError(
            "This provider's query() returns values without keys, so they cannot be copied",
            provider=source.storage_type,
            hint="Pass references instead",
        )
    # The best ten of a search are what was asked for; a query that stopped at 100 may be a surprise.
    if source.truncated and len(source) == source.limit and not isinstance(source, SearchResult):
        warnings.warn(
            f"limit={source.limit} cut the result off: only the {source.limit} records in it are taken."
            " Ask with limit=None for all",
            UserWarning,
            stacklevel=4,
        )
    return list(source.references)


def _many(
    providers: ProviderSet,
    job: Job,
    references: list[Reference],
    key: Callable[[DataReference], str] | None,
    progress: Progress,
) -> list[Outcome]:
    providers.find(*job.target)
    entries = addressed(job.target, references, key)
    parcels = list({entry.key: entry for entry in entries if isinstance(entry, Parcel)}.values())
    _check_originals(providers, job, parcels)
    refused = [entry for entry in entries if isinstance(entry, Outcome)]
    verb = "moved" if job.moving else "copied"
    with reporting(progress, verb, len(parcels) + len(refused)) as report:
        if refused:
            report(refused)
        outcomes = _carried(providers, job, parcels, report)
    return [entry if isinstance(entry, Outcome) else outcomes[entry.key] for entry in entries]


def _check_originals(providers: ProviderSet, job: Job, parcels: Iterable[Parcel]) -> None:
    """What is moved goes from where it was: refused before the first copy."""
    for name in {parcel.reference.storage_type for parcel in parcels if job.moving}:
        providers.check_writable(name, job.operation)


def _carried(
    providers: ProviderSet, job: Job, parcels: Iterable[Parcel], report: Report
) -> dict[str, Outcome]:
    """The outcomes by the keys of the copies; one provider's records after the other's."""
    outcomes: dict[str, Outcome] = {}
    sources: dict[Target, list[Parcel]] = {}
    for parcel in parcels:
        name = parcel.reference
        sources.setdefault(Target(name.storage_type, name.collection), []).append(parcel)
    for source, those in sources.items():
        try:
            route = Route(providers, source, job)
        except StorageError as error:
            outcomes |= failed(those, error)
            continue
        for step in transfer(route, those):
            outcomes |= step
            report([*step.values()])
    return outcomes
