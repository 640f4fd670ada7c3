"""Nested values as something to open entry by entry."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from html import escape
from itertools import islice
from typing import Any

from praval_storage.cells import Cell, bare, cell, quoted
from praval_storage.display import counted, printable

NODES = 60
"""Entries of a tree in the static forms."""
PER_LEVEL = 100
MOST = 1_500
"""Entries of a whole tree."""
DEEPEST = 40
OPEN = 20
"""Entries that are visible at first."""
LETTERS = 2_000
"""Letters of a text."""


@dataclass(frozen=True, slots=True)
class Node:
    """An entry of a tree.

    Attributes:
        name: Field or place; ``None`` at the root.
        cell: The value, or for a container what it is: ``{3}``.
        type: What Python calls it, where JSON has no such value.
        nodes: The entries of a container.
        more: How many entries are not among ``nodes``.
        is_open: Whether it is shown open at first.
    """

    name: str | None
    cell: Cell
    type: str = ""
    nodes: Sequence[Node] = ()
    more: int = 0
    is_open: bool = False

    def payload(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "name": self.name,
            **self.cell.payload(),
            "type": self.type,
            "open": self.is_open,
            "nodes": [node.payload() for node in self.nodes],
            "more": self.more,
        }

    @property
    def label(self) -> str:
        """Name, value and type on one line."""
        text = f"{self.cell.text}  ({self.type})" if self.type else self.cell.text
        return text if self.name is None else f"{self.name}: {text}"


@dataclass(frozen=True, slots=True)
class Tree:
    """Nested values."""

    root: Node

    def payload(self, blobs: list[bytes]) -> dict[str, Any]:
        return {"type": "tree", "root": self.root.payload()}

    def html(self) -> str:
        budget = [NODES]
        return f'<div style="white-space:pre-wrap">{_node_html(self.root, budget)}</div>'

    def text(self) -> str:
        lines = list(_node_lines(self.root, 0))
        rest = len(lines) - NODES
        return "\n".join(lines[:NODES] + ([f"... {counted(rest, 'line')} more"] if rest > 0 else []))


def _node_html(node: Node, budget: list[int]) -> str:
    budget[0] -= 1
    label = escape(node.label)
    if not node.nodes and not node.more:
        return f"<div>{label}</div>"
    shown = [_node_html(child, budget) for child in node.nodes if budget[0] > 0]
    more = node.more + len(node.nodes) - len(shown)
    inner = "".join(shown) + (f"<div>{counted(more, 'more').removesuffix('s')}</div>" if more else "")
    state = " open" if node.is_open else ""
    return f'<details{state}><summary>{label}</summary><div style="margin-left:1.5em">{inner}</div></details>'


def _node_lines(node: Node, level: int) -> Iterator[str]:
    yield f"{'  ' * level}{node.label}"
    if node.is_open:
        for child in node.nodes:
            yield from _node_lines(child, level + 1)
        if node.more:
            yield f"{'  ' * (level + 1)}... {node.more:,} more".replace(",", " ")


def tree(value: Any, length: int | None = None) -> Tree:
    """A value of JSON, or any other nested one, as a tree.

    Args:
        value: The value.
        length: Of a list of which this is only the beginning.
    """
    root = _node(None, value, MOST, _levels_open(value))
    if length is None:
        return Tree(root)
    return Tree(replace(root, cell=Cell(f"[{length}]", "array", None), more=length - len(root.nodes)))


def _node(name: str | None, value: Any, allowance: int, levels: int, depth: int = 0) -> Node:
    if not isinstance(value, _CONTAINERS) or depth == DEEPEST:
        look = quoted(value, LETTERS) if isinstance(value, str) else bare(value)
        return Node(name, look, "" if type(value) in _OF_JSON else type(value).__name__)
    # Every entry gets its share, so that the first of many does not use up what the others need.
    count = min(len(value), PER_LEVEL, allowance)
    share = (allowance - count) // count if count else 0
    nodes = [
        _node(label, child, share, levels - 1, depth + 1) for label, child in islice(_entries(value), count)
    ]
    kind = "" if type(value) in _OF_JSON else type(value).__name__
    return Node(name, _container(value), kind, nodes, len(value) - count, levels > 0)


def _container(value: Any) -> Cell:
    if isinstance(value, Mapping):
        return Cell(f"{{{len(value)}}}", "object", None)
    return Cell(f"[{len(value)}]", "array", None)


def _entries(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return ((_label(name), child) for name, child in value.items())
    return ((str(place), child) for place, child in enumerate(value))


def _label(name: Any) -> str:
    if isinstance(name, str) and name.strip():
        return printable(name)
    # A number is told from the text of it by what JSON has no word for.
    return cell(name).text if isinstance(name, str) else f"({cell(name).text})"


def _levels_open(value: Any) -> int:
    """How many levels can be open without too many entries; the first one always is."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    levels = visible = 0
    while level:
        visible += sum(min(len(each), PER_LEVEL) for each in level)
        if levels and visible > OPEN:
            break
        levels += 1
        below = (child for each in level for child in islice(_children(each), PER_LEVEL))
        level = [child for child in below if isinstance(child, _CONTAINERS)]
    return levels


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else value


_OF_JSON = frozenset({str, int, float, bool, type(None), dict, list, bytes})
_CONTAINERS = (Mapping, list, tuple, Set, deque)
