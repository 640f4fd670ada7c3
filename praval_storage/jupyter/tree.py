"""The tree on the left: providers, and the places in them that have been opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from praval_storage.display import name_text
from praval_storage.jupyter.address import Address
from praval_storage.places import Count, Place, Seen


@dataclass(frozen=True, slots=True)
class Node:
    """A place, and what has been seen of what is in it.

    Attributes:
        address: Where it is.
        place: What its provider says of it.
        open: Whether what is in it is shown.
        inside: The places in it in the order of their pages; ``None`` = nobody has looked.
        next: Token of the next page of them.
    """

    address: Address
    place: Place
    open: bool = False
    inside: tuple[Place, ...] | None = None
    next: str | None = None


class Line(NamedTuple):
    """A line of the tree: a node at a level, which begins at 1, or the offer of more in it."""

    level: int
    node: Node
    more: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes by address; the providers are the roots."""

    roots: tuple[str, ...]
    nodes: Mapping[Address, Node]

    @classmethod
    def of(cls, storage_types: Iterable[str]) -> Self:
        """Only the providers, all closed."""
        names = tuple(storage_types)
        return cls(names, {Address(name): _root(name) for name in names})

    def find(self, address: Address) -> Node | None:
        """The node at an address, if it has been met."""
        return self.nodes.get(address)

    def opened(self, address: Address, wanted: bool = True) -> Self:
        """The tree with one node opened or closed."""
        node = self.nodes.get(address)
        return self if node is None else self._with(replace(node, open=wanted))

    def seen(self, address: Address, seen: Seen, *, more: bool = False) -> Self:
        """The tree with what a look at a place found in it; with ``more``, after what was there."""
        node = self.nodes.get(address)
        if node is None:
            return self
        before = node.inside or () if more else ()
        known = {place.path for place in before}
        inside = (*before, *(place for place in seen.places if place.path not in known))
        found = [Node(Address(address.storage_type, place.path), place) for place in seen.places]
        fresh = [self._refreshed(each) for each in found]
        return self._with(replace(node, inside=inside, next=seen.next), *fresh)

    def counted(self, address: Address, count: Count) -> Self:
        """The tree with how many records are in a place."""
        node = self.nodes.get(address)
        return self if node is None else self._with(replace(node, place=replace(node.place, count=count)))

    def with_roots(self, storage_types: Iterable[str]) -> Self:
        """The tree of these providers; what is known of one that was there stays."""
        names = tuple(storage_types)
        kept = {address: node for address, node in self.nodes.items() if address.storage_type in names}
        return replace(self, roots=names, nodes={**{Address(name): _root(name) for name in names}, **kept})

    def without(self, storage_type: str) -> Self:
        """The tree where nobody has looked into this provider yet."""
        nodes = {each: node for each, node in self.nodes.items() if each.storage_type != storage_type}
        return replace(self, nodes={**nodes, Address(storage_type): _root(storage_type)})

    def trail(self, address: Address) -> list[Node]:
        """The nodes above and at an address that have been met, from the root down."""
        above = [
            node
            for node in self.nodes.values()
            if node.address.storage_type == address.storage_type
            and address.place.startswith(node.address.place)
        ]
        return sorted(above, key=lambda node: len(node.address.place))

    def shown(self) -> Iterator[Line]:
        """What is to be seen, from top to bottom."""
        for name in self.roots:
            yield from self._below(Address(name), 1)

    def _below(self, address: Address, level: int) -> Iterator[Line]:
        node = self.nodes[address]
        yield Line(level, node)
        if not node.open:
            return
        for place in node.inside or ():
            yield from self._below(Address(address.storage_type, place.path), level + 1)
        if node.next is not None and node.inside:
            yield Line(level + 1, node, more=True)

    def _refreshed(self, node: Node) -> Node:
        """A node that was listed again: open or not as before."""
        before = self.nodes.get(node.address)
        return node if before is None else replace(before, place=node.place)

    def _with(self, *nodes: Node) -> Self:
        return replace(self, nodes={**self.nodes, **{node.address: node for node in nodes}})


def _root(name: str) -> Node:
    return Node(Address(name), Place("", name, "provider", parent=True, records=True))


def to_json(tree: Tree) -> list[dict[str, Any]]:
    """What the front end draws: one object for each line."""
    return [_line(line) for line in tree.shown()]


def _line(line: Line) -> dict[str, Any]:
    level, node, more = line
    place = node.place
    if more:
        return {"id": f"more {node.address}", "level": level, "more": str(node.address)}
    known: dict[str, Any] = {
        "id": str(node.address),
        "label": name_text(place.label),
        "kind": place.kind,
        "level": level,
        "note": "; ".join(filter(None, [place.note, place.read_only and f"read-only: {place.read_only}"])),
        "count": "" if place.count is None else str(place.count),
        "records": "" if place.count is None else place.count.words("record"),
        "size": "" if place.size is None else place.size.bytes(),
    }
    if place.parent and node.inside != ():
        known["open"] = node.open
    return known


def labels(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    """Address and label of each node: the crumbs of a path."""
    return [(str(node.address), name_text(node.place.label)) for node in nodes]
