"""``VectorMap``: the records of a collection as points of a plane, near where their vectors are near."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from praval_storage.cells import cell
from praval_storage.display import SHOWN, Table, as_html, as_text, counted, folded, printable
from praval_storage.errors import ConfigurationError
from praval_storage.mapping.colouring import Colouring, Entry, colouring
from praval_storage.mapping.drawing import draw
from praval_storage.mapping.fields import Fields, title_of
from praval_storage.pictures import data_uri

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

Near = Callable[[str, int], list[tuple[str, float]]]
_LEGEND = 12
_LISTED = 4
"""Points in the list below the picture, which tells more and travels with every copy of the notebook."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class VectorMap:
    """The records of a collection, or a sample of them, as points of a plane.

    Attributes:
        storage_type: Name of the provider.
        collection: Collection, when it is not the provider's own.
        vector: Name of the vector drawn; ``""`` is the only one of a collection.
        vectors: Names of all there are.
        metric: How the backend compares them.
        size: Dimension.
        total: Records in the collection; of those that match, where there are filters.
        explained: Share of the variance that the plane shows, 0 to 1; ``None`` when nothing is drawn.
        keys: The records of the sample.
        points: Where they are, float32 (n, 2), at most 1 from the middle; empty when nothing can be drawn.
        known: Scalars of each record by their path.
        colours: What their colours mean.
        notes: What is not drawn, and why.
        filters: What the records had to match; ``None`` = nothing.
    """

    storage_type: str
    collection: str | None
    vector: str
    vectors: Sequence[str]
    metric: str
    size: int
    total: int
    explained: float | None
    keys: Sequence[str]
    points: npt.NDArray[np.float32] = field(repr=False)
    known: Sequence[Fields]
    colours: Colouring
    near: Near
    notes: Sequence[str] = ()
    filters: Mapping[str, Any] | None = None

    @property
    def fields(self) -> list[str]:
        """Paths that can give colours, those that most records have first."""
        counts: dict[str, int] = {}
        for known in self.known:
            for path in known:
                counts[path] = counts.get(path, 0) + 1
        return sorted(counts, key=lambda path: (-counts[path], path))

    def coloured_by(self, field: str | None) -> VectorMap:
        """The same map with other colours; nothing is read for that."""
        # Where there are no records, no field is a wrong one.
        if field is not None and self.known and not any(field in known for known in self.known):
            raise ConfigurationError(
                f"No record of the sample has the field {field!r}",
                hint=f"Fields: {', '.join(map(printable, self.fields[:SHOWN])) or 'none'}",
            )
        return replace(self, colours=colouring(self.known, field))

    def neighbours(self, key: str, limit: int = 5) -> list[tuple[str, float]]:
        """The records nearest to one, by the backend's own search: ``(key, score)``, best first.

        Raises:
            KeyNotFoundError: There is no record with such a vector under this key.
        """
        return self.near(key, limit)

    def to_pandas(self) -> pd.DataFrame:
        """Key, ``x`` and ``y`` of every point drawn, and the field it is coloured by."""
        columns: dict[str, Any] = {"key": list(self.keys)[: len(self.points)]}
        columns |= {"x": self.points[:, 0], "y": self.points[:, 1]}
        if self.colours.field is not None:
            values = [known.get(self.colours.field) for known in self.known[: len(self.points)]]
            columns[self.colours.field] = values
        frame: pd.DataFrame = import_module("pandas").DataFrame(columns)
        return frame

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """Points as little-endian float32, colours as one byte each: places 0 and 1 of the payload."""
        codes = bytes(self.colours.codes) if len(self.points) else b""
        return self.points.astype("<f4").tobytes(), codes

    def payload(self) -> dict[str, Any]:
        """All of it as JSON values; points and codes of colours are places in :attr:`blobs`."""
        return {
            "storage_type": self.storage_type,
            "collection": self.collection,
            "title": self._title(),
            "vector": self.vector,
            "vectors": list(self.vectors),
            "metric": self.metric,
            "size": self.size,
            "total": self.total,
            "sampled": len(self.keys),
            "sample_text": self._sample(),
            "explained": self.explained,
            "explained_text": self._explained(),
            "notes": list(self.notes),
            "points": 0,
            "keys": list(self.keys),
            "titles": self.titles,
            "fields": self.fields,
            "colour": {
                "field": self.colours.field,
                "kind": self.colours.kind,
                "codes": 1,
                "legend": [entry.payload() for entry in self.colours.legend],
                "values": list(self.colours.values),
            },
        }

    @property
    def titles(self) -> list[str]:
        """A few words for each record beside its key, ``""`` where there are none."""
        return list(map(title_of, self.known))

    def __repr__(self) -> str:
        lines = [self._title(), self._explained(), *self.notes, *(self._legend())]
        return "\n".join([*filter(None, lines), as_text(self._list())])

    def _repr_html_(self) -> str:
        said = [self._title(), self._explained(), *self.notes]
        words = "".join(f"<p>{escape(line)}</p>" for line in said if line)
        points = folded("points", as_html(self._list()))
        return f"<div>{words}{self._picture()}{self._legend_html()}{points}</div>"

    def _picture(self) -> str:
        if not len(self.points):
            return ""
        alt = f"map of {counted(len(self.points), 'point')}, {self._explained()}"
        return (
            f'<p><img src="{data_uri("image/png", draw(self.points, self.colours))}" alt="{escape(alt)}"></p>'
        )

    def _legend_html(self) -> str:
        if self.colours.field is None or not len(self.points):
            return ""
        entries = "".join(
            f'<span style="color:{entry.colour}">&#9679;</span> {_said(entry)} &nbsp; '
            for entry in self._shown()
        )
        return f"<p>{escape(printable(self.colours.field))}: {entries}</p>"

    def _shown(self) -> list[Entry]:
        found = [entry for entry in self.colours.legend if entry.count]
        # Of a scale every third step is enough.
        return found[:: max(1, -(-len(found) // _LEGEND))] if self.colours.kind == "number" else found

    def _legend(self) -> list[str]:
        if self.colours.field is None:
            return []
        words = ", ".join(f"{entry.label} {_grouped(entry.count)}" for entry in self._shown())
        return [f"{printable(self.colours.field)}: {words}"]

    def _title(self) -> str:
        where = self.storage_type if self.collection is None else f"{self.storage_type}/{self.collection}"
        name = f", vector {printable(self.vector)!r}" if self.vector else ""
        space = f", {self.metric}, {counted(self.size, 'dimension')}" if self.size else ""
        return f"VectorMap: {printable(where)}{name}{space}, {self._sample()}"

    def _sample(self) -> str:
        matching = "" if self.filters is None else f" that match{'es' * (self.total == 1)}"
        if len(self.keys) < self.total:
            return f"sampled {_grouped(len(self.keys))} of {_grouped(self.total)}{matching}"
        every = "" if self.total < 2 else "all "
        return f"{every}{counted(self.total, 'record')}{matching}"

    def _explained(self) -> str:
        return "" if self.explained is None else f"PCA, {100 * self.explained:.0f} % of the variance"

    def _list(self) -> Table:
        paths = [path for path in self.fields if path != "data"][:3]
        count = min(_LISTED, len(self.keys))
        rows = [
            [printable(self.keys[place]), *self._place(place), *_cells(self.known[place], paths)]
            for place in range(count)
        ]
        header = ("key", *(("x", "y") if len(self.points) else ()), *map(printable, paths))
        return Table("", header, rows, len(self.keys) - count)

    def _place(self, place: int) -> list[str]:
        return [f"{number:.2f}" for number in self.points[place]] if len(self.points) else []


def _cells(known: Mapping[str, Any], paths: Sequence[str]) -> list[str]:
    return [cell(known[path]).text if path in known else "" for path in paths]


def _said(entry: Entry) -> str:
    return escape(f"{entry.label} {_grouped(entry.count)}")


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
