"""pandas scalars inside JSON: Timestamp, Timedelta, NaT and NA."""

from __future__ import annotations

from typing import Any

import pandas as pd

from praval_storage.serialization._types import Tag, UnstorableError

_WHOLE = (pd.DataFrame, pd.Series)


def write(value: Any) -> tuple[Any, Tag]:
    """Natural form and tag of a pandas scalar."""
    if value is pd.NaT:
        return None, "NaT"
    if value is pd.NA:
        return None, "NA"
    if isinstance(value, pd.Timestamp):
        zone = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)
        return value.isoformat(), ("Timestamp", value.unit, zone) if zone else ("Timestamp", value.unit)
    if isinstance(value, pd.Timedelta):
        return value.isoformat(), ("Timedelta", value.unit)
    name = type(value).__name__
    if isinstance(value, _WHOLE):
        raise UnstorableError(
            f"a {name} inside another value", "Store it as a whole value, under its own key"
        )
    raise UnstorableError(f"a pandas {name}")


def read_timestamp(text: str, unit: Any, zone: str | None = None) -> Any:
    """The Timestamp; its offset is in the text, a named zone is given apart."""
    stamp = pd.Timestamp(text).as_unit(unit)
    return stamp.tz_convert(zone) if zone else stamp


def read_timedelta(text: str, unit: Any) -> Any:
    """The Timedelta of an ISO 8601 duration."""
    return pd.Timedelta(text).as_unit(unit)


def read_nat(_: None) -> Any:
    """``pandas.NaT``."""
    return pd.NaT


def read_na(_: None) -> Any:
    """``pandas.NA``."""
    return pd.NA
