"""Looking around: where records are, a page at a time, as a person does who opens one folder after the other.

A provider is a tree of **places** (buckets, folders, schemas, tables, key prefixes, collections), and a place
holds other places and **rows**, which are records. :class:`Look` asks for one page of one place,
:class:`Seen` is the answer. Each page is one bounded piece of work, however much there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import orjson

from praval_storage.display import counted, counted_text, printable, size_text
from praval_storage.errors import ConfigurationError
from praval_storage.filters import EVERYTHING, Node, Order
from praval_storage.labels import check_delimiter
from praval_storage.records import Stored

MOST = 1_000
"""Rows and places on the largest page."""


class Count(NamedTuple):
    """A number of records or bytes, and how well it is known.

    Attributes:
        number: The number.
        how: ``"exact"``, ``"estimate"`` or ``"at least"``.
    """

    number: int
    how: str = "exact"

    def __str__(self) -> str:
        """``1 204``, ``~1.2 M``, ``>= 48``."""
        return counted_text(self.number, self.how)

    def words(self, noun: str) -> str:
        """``no records``, ``1 record``, ``~1.2 M records``, ``>= 48 records``."""
        if self.how == "exact":
            return counted(self.number, noun)
        return f"{self} {noun}{'' if self.number == 1 else 's'}"

    def bytes(self) -> str:
        """The number as a size: ``1.2 kB``, ``~1.2 MB``, ``>= 48.0 GB``."""
        sign = {"estimate": "~", "at least": ">= "}.get(self.how, "")
        return sign + size_text(self.number)


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to look within one provider.

    Attributes:
        path: Names it, readable and stable: ``""`` (all of the provider), ``"lab/reports/2026/"``,
            ``"sales.customers"``, ``"session:"``, ``"docs"``.
        label: The last part of the path, as a tree shows it.
        kind: ``"bucket"``, ``"folder"``, ``"schema"``, ``"table"``, ``"view"``, ``"prefix"`` or
            ``"collection"``.
        parent: Whether there may be places in it.
        records: Whether there may be rows in it.
        count: Records in it, where that costs nothing.
        size: Bytes in it, where that costs nothing.
        read_only: Why it cannot be written to, ``""`` if it can as far as is known.
        note: A few words about it: ``"named vectors: text, image"``.
    """

    path: str
    label: str
    kind: str
    parent: bool
    records: bool
    count: Count | None = None
    size: Count | None = None
    read_only: str = ""
    note: str = ""


class Column(NamedTuple):
    """A column of a table, or a field of a collection's points.

    Attributes:
        name: Its name.
        type: Its type in the backend's words.
        null: Whether it may be null.
        key: Whether it is part of the primary key.
        indexed: Whether an index begins with it.
    """

    name: str
    type: str
    null: bool = True
    key: bool = False
    indexed: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One page of one place, please.

    Attributes:
        path: The place; ``""`` = the provider itself.
        text: Only rows and places whose label (what the path does not say) contains this, ASCII letters in
            either case; for other letters see ``labels.caseless``.
        where: Only rows that match this filter; places are shown all the same.
        order: Order of the rows; ``None`` = the backend's cheapest one that is stable, and that of their
            labels (natural) where all are on one page.
        limit: Rows and places on the page, 1 to 1 000.
        token: Of the page before; ``None`` = the first one.
        budget: Keys or rows to look at before the page is answered with what has been found.
        metadata: Whether metadata, formats and expiry of the rows are wanted. Without, an object store
            answers from its listing alone, and what has expired may still be listed.
        bodies: Whether the data of the rows is wanted as well.
        delimiter: What ends the part of a key that is a place, where a provider can have that chosen
            (:attr:`Seen.delimiter`): 1 to 8 characters, none of them a letter or digit. ``None`` = the
            provider's own. A token is of the delimiter it was made with.
    """

    path: str = ""
    text: str = ""
    where: Node = EVERYTHING
    order: Order | None = None
    limit: int = 25
    token: str | None = None
    budget: int = 10_000
    metadata: bool = True
    bodies: bool = False
    delimiter: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MOST:
            raise ConfigurationError(f"The limit of a page is one from 1 to {MOST}, not {self.limit!r}")
        if self.budget < 1:
            raise ConfigurationError(f"budget must be >= 1, not {self.budget!r}")
        if self.delimiter is not None:
            check_delimiter(self.delimiter)


@dataclass(frozen=True, slots=True)
class Seen:
    """One page of one place. A place that is not there is empty.

    Attributes:
        places: Places on this page, one level below, in natural order (``point-2`` before ``point-10``).
        rows: Records directly in this place on this page, without their bodies where that is cheaper.
        collection: ``DataReference(storage_type, row.key, collection=collection)`` names each row.
        prefix: What every key here begins with; the rest of a key is its label.
        next: Token of the next page; ``None`` = that was all.
        ordered: Whether the rows are in the order that was asked for, over all pages. If not, the backend
            cannot make it in a bounded piece of work, and they come as they come.
        total: Records in this place that match, where that costs nothing.
        scanned: Keys or rows that were looked at for this page.
        extent: Keys that looking at all of the place would scan, where it cannot be looked at alone.
        stopped: Whether the budget was used up before the page was full: there may be more.
        statement: What ran, in the backend's words, parameters as ``%s``.
        parameters: The values of those parameters.
        note: A few words about what could not be seen, or what a page costs here.
        columns: Columns of a table, payload fields and vectors of a collection.
        types: What the backend calls the type of a row, by key, where it has several: ``"hash"``.
        scores: How near to what was searched for each row is, by key, where the rows are those of a search.
        read_only: As :attr:`Place.read_only`, for this place.
        delimiter: What the paths of the places here end with, where :attr:`Look.delimiter` can choose
            another; ``""`` = there is no choice.
    """

    places: Sequence[Place] = ()
    rows: Sequence[Stored] = ()
    collection: str | None = None
    prefix: str = ""
    next: str | None = None
    ordered: bool = True
    total: Count | None = None
    scanned: int = 0
    extent: Count | None = None
    stopped: bool = False
    statement: str = ""
    parameters: tuple[Any, ...] = ()
    note: str = ""
    columns: Sequence[Column] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    read_only: str = ""
    delimiter: str = ""

    def label(self, row: Stored) -> str:
        """What the place does not say of a row's key."""
        return row.key[len(self.prefix) :]

    def unordered(self, order: Order | None, why: str) -> Seen:
        """The same page, said not to be in the order that was asked for."""
        if order is None:
            return self
        return replace(self, ordered=False).noted(f"not sorted by {printable(str(order.path))}: {why}")

    def noted(self, *notes: str) -> Seen:
        """The same page with more said about it."""
        return replace(self, note="; ".join(filter(None, [self.note, *notes])))


class Measured(NamedTuple):
    """How much there is, as far as it has been counted.

    Attributes:
        records: Records so far; what has expired and was not purged may be among them.
        size: Bytes so far, where they are known.
        done: Whether that is all.
    """

    records: Count
    size: Count | None
    done: bool


# Tokens


def to_token(position: Any) -> str:
    """A position as the text of a token."""
    return orjson.dumps(position).decode()


def from_token(token: str | None) -> Any:
    """The position that :func:`to_token` wrote; ``None`` = the beginning.

    Raises:
        ConfigurationError: Somebody else wrote it.
    """
    if token is None:
        return None
    try:
        position = orjson.loads(token)
    except (orjson.JSONDecodeError, TypeError):
        position = None
    if position is None:
        raise bad_token()
    return position


def bad_token() -> ConfigurationError:
    """The error for a token that means nothing here."""
    return ConfigurationError("The token is not one of this place", hint="Begin again without a token")


# Paths with slashes


def as_folder(path: str) -> str:
    """A path with slashes as all keys below it begin: with a slash at the end, unless it is empty."""
    return path if not path or path.endswith("/") else f"{path}/"


def folder(path: str) -> Place:
    """The place of a path that ends with a slash."""
    return Place(path, path[:-1].rpartition("/")[2], "folder", parent=True, records=True)
