"""Records whose bodies fit in memory, many in each call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from praval_storage.base import CanSearch, CanStream, RecordProvider, raise_failure
from praval_storage.copying.parcels import Parcel
from praval_storage.copying.route import Loaded, Outcomes, Route, altered, as_result, vanished
from praval_storage.copying.same import difference, difference_in_facts, fingerprint, is_proven
from praval_storage.records import MISSING, Stored
from praval_storage.serialization import is_json_body


def carry(route: Route, parcels: Sequence[Parcel]) -> Outcomes:
    """Read, skip what is there, write, check, remove; what fails with one record only is its outcome."""
    outcomes: Outcomes = {}
    loaded = _load(route, parcels, outcomes)
    there = _there(route, loaded)
    for each in loaded:
        if (found := there.get(each.parcel.key)) is not None:
            outcomes[each.parcel.key] = route.copied(each, as_result(found))
    fresh = [each for each in loaded if each.parcel.key not in there]
    _check(route, _write(route, fresh, outcomes), outcomes)
    route.finish(loaded, outcomes)
    return outcomes


def _load(route: Route, parcels: Sequence[Parcel], outcomes: Outcomes) -> list[Loaded]:
    rows = route.read(route.source, [parcel.reference.key for parcel in parcels])
    loaded = []
    for parcel, stored in zip(parcels, rows, strict=True):
        with route.noting(outcomes, route.source, parcel):
            loaded.append(route.loaded(parcel, stored, lambda row: _data(route, row)))
    return loaded


def _data(route: Route, stored: Stored) -> Any:
    return stored.content if _goes_as_it_is(route, stored) else route.source.provider.load(stored)


def _goes_as_it_is(route: Route, stored: Stored) -> bool:
    """Whether the other side takes the body as it is stored: a file stays the same file, byte for byte.

    A backend that holds JSON in a way of its own needs the value, and so does one that finds a vector in it.
    """
    source, target = route.source.provider, route.target.provider
    if stored.data is not MISSING or not isinstance(target, RecordProvider):
        return False
    if is_json_body(stored.format):
        return isinstance(target, CanStream) and not isinstance(source, CanSearch)
    return stored.format != "text" or not isinstance(target, CanSearch)


def _there(route: Route, loaded: Sequence[Loaded]) -> dict[str, Stored]:
    """The records on the other side that are what would be written."""
    rows = route.read(route.target, [each.parcel.key for each in loaded], bodies=False)
    likely = [
        (each, found)
        for each, found in zip(loaded, rows, strict=True)
        if found is not None
        and route.may_skip(each, found)
        and difference_in_facts(each.stored, found) is None
    ]
    same = {each.parcel.key: found for each, found in likely if is_proven(each.stored, found)}
    unsure = [each for each, _ in likely if each.parcel.key not in same]
    bodies = route.read(route.target, [each.parcel.key for each in unsure])
    for each, found in zip(unsure, bodies, strict=True):
        if found is not None and _difference(route, each, found) is None:
            same[each.parcel.key] = found
    return same


def _write(route: Route, fresh: Sequence[Loaded], outcomes: Outcomes) -> list[Loaded]:
    results = route.write([each.draft for each in fresh], again=True)
    written = []
    for each, result in zip(fresh, results, strict=True):
        with route.noting(outcomes, route.target, each.parcel):
            raise_failure(result)
            outcomes[each.parcel.key] = route.copied(each, result)
            written.append(each)
    return written


def _check(route: Route, written: Sequence[Loaded], outcomes: Outcomes) -> None:
    rows = route.read(route.target, [each.parcel.key for each in written])
    for each, found in zip(written, rows, strict=True):
        with route.noting(outcomes, route.target, each.parcel):
            if found is None:
                raise vanished(each)
            if what := _difference(route, each, found):
                raise altered(what, fingerprint(each.stored), fingerprint(found))


def _difference(route: Route, each: Loaded, found: Stored) -> str | None:
    return difference(route.source.provider, each.stored, found)
