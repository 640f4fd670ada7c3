"""The record that is shown, and the map of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from praval_storage.jupyter.core import Changes, Core, Task
from praval_storage.jupyter.lanes import Job
from praval_storage.jupyter.pages import Pages
from praval_storage.preview import Preview
from praval_storage.reference import DataReference

if TYPE_CHECKING:
    from praval_storage.mapping import VectorMap

MOST_POINTS = 20_000


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
        core.watch(self._forget)

    def select(self, uri: str, *, in_full: bool = False) -> Job | None:
        """Show a record; ``""`` shows none."""
        core = self._core
        name = DataReference.from_uri(uri) if uri else None
        with core.lock:
            same = uri == core.state.selected
            core.set({"selected": uri, "confirm": {}, **({} if same else {"preview": {}})})
            if name is None:
                core.forget("preview")
                return None
        again = lambda: self.select(uri, in_full=in_full)  # noqa: E731 - it stands in a tuple
        task = Task("preview", name.storage_type, f"reading {name.key.rpartition('/')[2]}", again)
        return core.ask(task, lambda: core.dm.preview(name, in_full=in_full), self._previewed)

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
        name, answer = self._pages.address.storage_type, self._pages.answer
        collection = answer.seen.collection if answer else None
        size = max(1, min(sample, MOST_POINTS))

        def again() -> Job | None:
            return self.draw(colour=colour, vector=vector, sample=sample, seed=seed)

        def work() -> VectorMap:
            return self._core.dm.vector_map(
                name, colour, sample=size, collection=collection, vector=vector, seed=seed
            )

        return self._core.ask(Task("chart", name, f"drawing {collection or name}", again), work, self._drawn)

    def recolour(self, field: str | None) -> None:
        """Colour the points that are shown by another payload field; nobody is asked for that."""
        with self._core.lock:
            if self.map is not None:
                self._core.set(self._drawn(self.map.coloured_by(field)))

    def undraw(self) -> None:
        """Show the rows again."""
        self._core.forget("chart")
        self._core.set({"chart": {}, "selected_ids": ()})

    def choose(self, keys: Sequence[str]) -> None:
        """The points in a box."""
        self._core.set({"selected_ids": tuple(keys), "notice": f"{len(keys)} points chosen"})

    def points(self) -> list[bytes]:
        """Places and colours of the points, and their keys, titles and values as JSON."""
        if self.map is None:
            return []
        whole = self.map.payload()
        texts = {name: whole[name] for name in ("keys", "titles")}
        named = orjson.dumps({**texts, "values": whole["colour"]["values"]})
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
        return {"preview": preview.payload(), "notice": f"preview of {preview.payload()['key']}"}

    def _drawn(self, drawn: VectorMap) -> Changes:
        self.map = drawn
        whole = drawn.payload()
        colour = {**whole["colour"], "values": []}
        small = {**whole, "keys": [], "titles": [], "colour": colour}
        number = self._core.state.chart.get("drawn", 0) + 1
        return {"chart": {**small, "drawn": number}, "notice": f"{whole['title']}: {whole['sample_text']}"}
