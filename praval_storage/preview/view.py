"""``Preview``: what can be seen of a record without retrieving it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from praval_storage.display import code, printable, value_text
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
        formats: What its body can be shown as, name to label; empty = it has no body.
        as_: The one that was asked for; ``""`` = what its kind suggests.
    """

    reference: DataReference
    kind: str
    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    parts: Sequence[Part] = ()
    formats: Mapping[str, str] = field(default_factory=dict)
    as_: str = ""

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
            "formats": [list(format) for format in self.formats.items()],
            "as": self.as_,
        }

    @property
    def snippet(self) -> str:
        """Code that gives the value."""
        return f"dm.retrieve({self.reference.uri!r})"

    def __repr__(self) -> str:
        lines = filter(None, [self._heading(), self._facts(), *self.notes])
        return "\n".join([*lines, *(part.text() for part in self.parts)])

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{escape(line)}</p>" for line in (self._heading(), self._facts()) if line)
        notes = "".join(f"<p><em>{escape(note)}</em></p>" for note in self.notes)
        parts = "".join(part.html() for part in self.parts)
        return f"<div>{lines}{notes}{parts}{code(self.snippet)}</div>"

    def _heading(self) -> str:
        return f"Preview of {printable(self.reference.uri, 200)}: {self.title}"

    def _facts(self) -> str:
        return " · ".join(f"{printable(name)} {value_text(text)}" for name, text in self.facts.items())

    def _parts(self) -> tuple[list[dict[str, Any]], tuple[bytes, ...]]:
        blobs: list[bytes] = []
        made = [part.payload(blobs) for part in self.parts]
        return made, tuple(blobs)
