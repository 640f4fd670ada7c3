"""All that the browser shows, as one frozen value of JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """What the front end draws. Nothing in it is secret, and all of it is text, numbers, lists and objects.

    Attributes:
        path: Where one is: ``"s3/reports/2026/"``.
        query: What stands in the filter box.
        sort: Path the rows are ordered by, ``-`` before it for descending, ``""`` = the backend's own order.
        page: Number of the page, from 0.
        delimiter: What ends a prefix in the provider that is shown; ``""`` = there is none to choose.
        selected: URI of the record that is shown.
        selected_ids: Keys of the points chosen on a map.
        crumbs: Address and label of each step of the path.
        tree: The lines of the tree.
        badges: How the last call of each provider went: state, words and details.
        rows: The records of this page.
        total: Records that match; ``None`` = not known.
        table: What stands around the rows: columns, places, counts, statement, notes.
        preview: The record that is shown (``Preview.payload``).
        chart: The map of a collection (``VectorMap.payload``) and what is chosen on it.
        confirm: The record a deletion was asked for.
        error: Title, text and whether it can be tried again; ``also`` = what failed before it.
        busy: What is being done, in words.
        notice: What a screen reader is told.
        read_only: Why nothing can be deleted here, ``""`` if it can.
    """

    path: str = ""
    query: str = ""
    sort: str = ""
    page: int = 0
    delimiter: str = ""
    selected: str = ""
    selected_ids: Sequence[str] = ()
    crumbs: Sequence[Sequence[str]] = ()
    tree: Sequence[Json] = ()
    badges: Json = field(default_factory=dict)
    rows: Sequence[Json] = ()
    total: int | None = None
    table: Json = field(default_factory=dict)
    preview: Json = field(default_factory=dict)
    chart: Json = field(default_factory=dict)
    confirm: Json = field(default_factory=dict)
    error: Json = field(default_factory=dict)
    busy: str = ""
    notice: str = ""
    read_only: str = ""


CHOSEN = ("path", "query", "sort", "page", "delimiter", "selected", "selected_ids")
"""What the user chooses: can be set from Python and linked with other widgets."""

_KEPT = frozenset({"path", "tree", "crumbs", "badges", "busy", "notice"})

NAMES = tuple(each.name for each in fields(State))

BLANK = {name: getattr(State(), name) for name in NAMES if name not in _KEPT}
"""Where another place begins: nothing chosen, nothing seen."""


def changes(before: State, after: State) -> dict[str, Any]:
    """The names and values that differ."""
    return {
        name: value
        for name in NAMES
        if (value := getattr(after, name)) is not getattr(before, name) and value != getattr(before, name)
    }
