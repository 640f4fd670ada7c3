"""The record that is shown, and the map of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import orjson

from praval_storage.display import counted, name_text
from praval_storage.jupyter.core import Changes, Core, Task
from praval_storage.jupyter.lanes import Job
from praval_storage.jupyter.pages import Pages
from praval_storage.jupyter.table import WIDEST
from praval_storage.preview import Preview, check_format
from praval_storage.reference import DataReference

if TYPE_CHECKING:
    from praval_storage.mapping import VectorMap

MOST_POINTS = 20_000


class Drawing(NamedTuple):
    """What a map is asked for with; see :meth:`Viewing.draw`."""

    colour: str | None
    vector: str | None
    sample: int
    seed: int


class Viewing:
    """Asks for previews and maps.

    Args:
        core: The state and the way to ask.
        pages: The place that is shown.
    """

    def __init__(self, core: Core, pages: Pages) -> None:
        self._core = core
        self._pages = pages
        self.preview: Preview | None = None
        self.map: VectorMap | None = None
        self._format = ""
        self._drawing: Drawing | None = None
        core.watch(self._forget)

    def show_as(self, format: str) -> Job | None:
        """Show the record that is selected in another format, ``""`` = as its kind suggests.

        Raises:
            ConfigurationError: There is no such format.
        """
        if format != "":
            check_format(format)
        self._format = format
        return self.select(self._core.state.selected)

    def select(self, uri: str, *, in_full: bool = False) -> Job | None:
        """Show a record, the one that is shown already in its format; ``""`` shows none."""
        core = self._core
        name = DataReference.from_uri(uri) if uri else None
        with core.lock:
            same = uri == core.state.selected
            core.set({"selected": uri, "confirm": {}, **({} if same else {"preview": {}})})
            if not same:
                self._format = ""
            if name is None:
                core.forget("preview")
                return None
        again = lambda: self.select(uri, in_full=in_full)  # noqa: E731 - it stands in a tuple
        task = Task("preview", name.storage_type, f"reading {name.key.rpartition('/')[2]}", again)
        as_ = self._format or None
        return core.ask(task, lambda: core.dm.preview(name, in_full=in_full, as_=as_), self._previewed)

    def uri(self, key: str) -> str:
        """The URI of a record in the place that is shown."""
        answer, address = self._pages.answer, self._pages.address
        return DataReference(address.storage_type, key, collection=answer and answer.seen.collection).uri

    def draw(
        self, *, colour: str | None = None, vector: str | None = None, sample: int = 2_000, seed: int = 0
    ) -> Job | None:
        """Show the collection as a map.

        Args:
            colour: Payload field that colours the points.
            vector: Which of several vectors is drawn.
            sample: At most so many points, 20,000 at most.
            seed: Chooses the sample.
        """
        size = max(1, min(sample, MOST_POINTS))
        return self._draw(Drawing(colour, vector, size, seed))

    def redraw(self) -> Job | None:
        """Show the map of what the filter box leaves, if a map is shown or being made."""
        is_wanted = bool(self._core.state.chart) or self._core.waits("chart")
        return self._draw(self._drawing) if is_wanted and self._drawing else None

    def _draw(self, drawing: Drawing) -> Job:
        name, answer = self._pages.address.storage_type, self._pages.answer
        collection = answer.seen.collection if answer else None
        filters, (_, vector, size, seed) = self._pages.filters(), drawing

        def work() -> VectorMap:
            return self._core.dm.vector_map(
                name, filters=filters, sample=size, collection=collection, vector=vector, seed=seed
            )

        def then(drawn: VectorMap) -> Changes:
            # Somebody may have chosen another colour meanwhile, and none of what is left may have the field.
            colour = self._drawing.colour if self._drawing else None
            return self._drawn(drawn.coloured_by(colour) if colour in drawn.fields else drawn)

        task = Task("chart", name, f"drawing {collection or name}", self.redraw)
        with self._core.lock:
            self._drawing = drawing
            return self._core.ask(task, work, then)

    def recolour(self, field: str | None) -> None:
        """Colour the points that are shown by another payload field; nobody is asked for that."""
        with self._core.lock:
            if self.map is not None:
                self._core.set(self._drawn(self.map.coloured_by(field)))
                self._drawing = self._drawing and self._drawing._replace(colour=field)

    def undraw(self) -> None:
        """Show the rows again."""
        self._core.forget("chart")
        self._core.set({"chart": {}, "selected_ids": ()})

    def choose(self, keys: Sequence[str]) -> None:
        """The points in a box."""
        self._core.set({"selected_ids": tuple(keys), "notice": f"{counted(len(keys), 'point')} chosen"})

    def points(self) -> list[bytes]:
        """Places and colours of the points, and their keys, titles and values as JSON."""
        if self.map is None:
            return []
        whole = self.map.payload()
        texts = {name: whole[name] for name in ("keys", "titles")}
        names = list(map(name_text, whole["keys"]))
        named = orjson.dumps({**texts, "names": names, "values": whole["colour"]["values"]})
        blobs = self.map.blobs
        return [blobs[whole["points"]], blobs[whole["colour"]["codes"]], named]

    def _forget(self, _: Changes) -> None:
        """What is not shown any more is not held either, whoever took it away."""
        if not self._core.state.preview:
            self.preview = None
        if not self._core.state.chart:
            self.map = None

    def _previewed(self, preview: Preview) -> Changes:
        self.preview = preview
        whole = preview.payload()
        name = name_text(self._label(whole["key"]), WIDEST)
        return {"preview": {**whole, "name": name}, "notice": f"preview of {name}"}

    def _label(self, key: str) -> str:
        """What the place that is shown does not say of a key."""
        prefix = self._pages.answer.seen.prefix if self._pages.answer else ""
        return key.removeprefix(prefix) or key

    def _drawn(self, drawn: VectorMap) -> Changes:
        self.map = drawn
        whole = drawn.payload()
        colour = {**whole["colour"], "values": []}
        small = {**whole, "keys": [], "titles": [], "colour": colour}
        number = self._core.state.chart.get("drawn", 0) + 1
        return {"chart": {**small, "drawn": number}, "notice": f"{whole['title']}: {whole['sample_text']}"}
