"""``Preview``: what can be seen of a record without retrieving it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from praval_storage.display import Table, as_html, as_text, code, facts
from praval_storage.preview.parts import Part
from praval_storage.reference import DataReference


@dataclass(frozen=True, slots=True, repr=False)
class Preview:
    """What can be seen of a record without retrieving it.

    Attributes:
        reference: The record.
        kind: ``"json"``, ``"table"``, ``"text"``, ``"image"``, ``"bytes"``, ``"pickle"``, ``"array"`` or
            ``"vector"``.
        title: The record and its kind in a line.
        facts: What is known of it, name to text.
        notes: What is not shown or could not be read, and why.
        parts: What there is to see.
    """

    reference: DataReference
    kind: str
    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    parts: Sequence[Part] = ()

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """The bodies of images, in the order in which the payload names them."""
        return self._parts()[1]

    def payload(self) -> dict[str, Any]:
        """All of it as JSON values; an image is a place in :attr:`blobs`."""
        return {
            "uri": self.reference.uri,
            "key": self.reference.key,
            "kind": self.kind,
            "title": self.title,
            "facts": [list(fact) for fact in self.facts.items()],
            "notes": list(self.notes),
            "snippet": self.snippet,
            "parts": self._parts()[0],
        }

    @property
    def snippet(self) -> str:
        """Code that gives the value."""
        return f"dm.retrieve({self.reference.uri!r})"

    def __repr__(self) -> str:
        known = as_text(self._facts())
        return "\n".join([known, *self.notes, *(part.text() for part in self.parts)])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p><em>{escape(note)}</em></p>" for note in self.notes)
        parts = "".join(part.html() for part in self.parts)
        return f"<div>{as_html(self._facts())}{notes}{parts}{code(self.snippet)}</div>"

    def _facts(self) -> Table:
        return facts(self.title, self.facts)

    def _parts(self) -> tuple[list[dict[str, Any]], tuple[bytes, ...]]:
        blobs: list[bytes] = []
        made = [part.payload(blobs) for part in self.parts]
        return made, tuple(blobs)
