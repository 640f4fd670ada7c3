"""What a preview is made of: a few kinds of parts, each with its JSON values, its HTML and its text.

The HTML keeps to what JupyterLab leaves of a notebook that is not trusted: no style sheet, no script, no
inline SVG; pictures are ``data:`` URIs of an ``<img>``, and what folds is a ``<details>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol

from praval_storage.display import Table, as_text, body_cell, folded, printable, size_text
from praval_storage.pictures import data_uri

LETTERS = 2_000
"""Letters of a text in the static forms."""


class Part(Protocol):
    """A piece of a preview."""

    def payload(self, blobs: list[bytes]) -> dict[str, Any]:
        """JSON values; what is not JSON is appended to ``blobs`` and named by its place there."""

    def html(self) -> str:
        """For a notebook."""

    def text(self) -> str:
        """For a terminal."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The beginning of a text.

    Attributes:
        passage: Several lines.
        more: Bytes that are not shown.
        is_code: Whether it is to be shown in letters of one width, as a hex dump is.
    """

    passage: str
    more: int = 0
    is_code: bool = False

    def payload(self, blobs: list[bytes]) -> dict[str, Any]:
        return {"type": "hex" if self.is_code else "text", "text": self.passage, "more": self.more}

    def html(self) -> str:
        return f'<pre style="font-family:monospace">{escape(self._shown())}</pre>'

    def text(self) -> str:
        return self._shown()

    def _shown(self) -> str:
        letters = 3 * LETTERS if self.is_code else LETTERS
        cut = self.more + len(self.passage[letters:].encode(errors="replace"))
        return self.passage[:letters] + (f"\n... {size_text(cut)} more" if cut else "")


@dataclass(frozen=True, slots=True)
class Picture:
    """An image for a browser.

    Attributes:
        body: The file.
        mime: Its media type.
        alt: What is to be seen, in words.
        size: Width and height on the page, in pixels; ``None`` = the image's own.
    """

    body: bytes = field(repr=False)
    mime: str
    alt: str
    size: tuple[int, int] | None = None

    def payload(self, blobs: list[bytes]) -> dict[str, Any]:
        blobs.append(self.body)
        width, height = self.size or (None, None)
        place = len(blobs) - 1
        return {
            "type": "image",
            "blob": place,
            "mime": self.mime,
            "alt": self.alt,
            "width": width,
            "height": height,
        }

    def html(self) -> str:
        size = "" if self.size is None else f' width="{self.size[0]}" height="{self.size[1]}"'
        style = "max-width:100%;height:auto" if self.size is None else "image-rendering:pixelated"
        src = data_uri(self.mime, self.body)
        return f'<p><img src="{src}" alt="{escape(self.alt)}"{size} style="{style}"></p>'

    def text(self) -> str:
        return f"[{self.alt}]"


@dataclass(frozen=True, slots=True)
class Line:
    """A sparkline.

    Attributes:
        name: What is drawn.
        src: A ``data:`` URI.
        alt: The same in words.
    """

    name: str
    src: str = field(repr=False)
    alt: str

    def payload(self, blobs: list[bytes]) -> dict[str, Any]:
        return {"type": "sparkline", "name": self.name, "src": self.src, "alt": self.alt}

    def html(self) -> str:
        words = escape(f"{self.name}: {self.alt}")
        return f'<p><img src="{self.src}" alt="{escape(self.alt)}"><br><small>{words}</small></p>'

    def text(self) -> str:
        return f"{self.name}: {self.alt}"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A record near another: its URI and key, and how near (higher is nearer)."""

    uri: str
    key: str
    score: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """The records nearest to this one, best first.

    Attributes:
        items: Without the record itself.
        metric: What the scores are of.
        vector: Which vector was compared, where a record has several.
    """

    items: Sequence[Neighbour]
    metric: str
    vector: str = ""

    def payload(self, blobs: list[bytes]) -> dict[str, Any]:
        items = [{"uri": each.uri, "key": each.key, "score": each.score} for each in self.items]
        return {"type": "neighbours", "metric": self._by, "items": items}

    def html(self) -> str:
        rows = "".join(
            f"<tr>{body_cell(escape(key))}{body_cell(score, True)}</tr>" for key, score in self._rows()
        )
        return folded(f"nearest by {self._by} ({len(self.items)})", f"<table><tbody>{rows}</tbody></table>")

    def text(self) -> str:
        return as_text(Table(f"nearest by {self._by}", ("key", "score"), self._rows(), 0))

    @property
    def _by(self) -> str:
        return f"{self.metric} of {printable(self.vector)}" if self.vector else self.metric

    def _rows(self) -> list[tuple[str, str]]:
        return [(printable(each.key), f"{each.score:.4g}") for each in self.items]
