"""Nested values as something to open entry by entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from praval_storage.cells import Cell
from praval_storage.display import counted

NODES = 60
"""Entries of a tree in the static forms."""


@dataclass(frozen=True, slots=True)
class Node:
    """An entry of a tree.

    Attributes:
        name: Field or place; ``None`` at the root.
        cell: The value, or for a container what it is: ``{3}``.
        nodes: The entries of a container.
        more: How many entries are not among ``nodes``.
        is_open: Whether it is shown open at first.
    """

    name: str | None
    cell: Cell
    nodes: Sequence[Node] = ()
    more: int = 0
    is_open: bool = False

    def payload(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "name": self.name,
            **self.cell.payload(),
            "open": self.is_open,
            "nodes": [node.payload() for node in self.nodes],
            "more": self.more,
        }

    @property
    def label(self) -> str:
        """Name and value on one line."""
        return self.cell.text if self.name is None else f"{self.name}: {self.cell.text}"


@dataclass(frozen=True, slots=True)
class Tree:
    """Nested values."""

    root: Node

    def payload(self, blobs: list[bytes]) -> dict[str, Any]:
        return {"type": "tree", "root": self.root.payload()}

    def html(self) -> str:
        budget = [NODES]
        return f"<div>{_node_html(self.root, budget)}</div>"

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
