"""Opening and closing places in the tree."""

from __future__ import annotations

from collections.abc import Callable

from praval_storage.jupyter.address import Address, parse_address
from praval_storage.jupyter.core import Changes, Core, Task
from praval_storage.jupyter.lanes import Job
from praval_storage.jupyter.tree import Node, Tree, labels, to_json
from praval_storage.places import Look, Seen

PAGE = 100
"""Places that the tree asks for at a time."""

Looker = Callable[[str, Look], Seen]


class Outline:
    """The tree, and the questions it asks.

    Args:
        core: The state and the way to ask.
        look: Answers a look at a provider.
    """

    def __init__(self, core: Core, look: Looker) -> None:
        self._core = core
        self._look = look
        self.tree = Tree.of(core.dm.providers)
        self._learnt: tuple[Address, Seen] | None = None

    def drawn(self, address: Address) -> Changes:
        """What the tree and the crumbs of a path look like."""
        crumbs = labels(self.tree.trail(address))
        return {"tree": to_json(self.tree), "crumbs": crumbs}

    def kind(self, address: Address) -> str:
        """What kind of place is at an address, ``""`` if it has not been met."""
        node = self.tree.find(address)
        return node.place.kind if node else ""

    def enter(self, address: Address) -> Job | None:
        """Open the tree down to an address, asking for what has not been met on the way."""
        return self._reveal(address) if address.storage_type and self.tree.find(address) is None else None

    def learn(self, address: Address, seen: Seen) -> None:
        """Take over what somebody else saw in a place, if nobody has looked there for the tree."""
        self._learnt = address, seen
        node = self.tree.find(address)
        if node is not None and node.inside is None:
            self.tree = self.tree.seen(address, seen)

    def renew(self) -> None:
        """Take over providers that have come or gone."""
        self.tree = self.tree.with_roots(self._core.dm.providers)

    def toggle(self, path: str, want: bool | None, at: Address) -> Job | None:
        """Open or close a place; one that was never opened is looked at.

        Args:
            path: The place.
            want: Whether it is to be open; ``None`` = the opposite of what it is.
            at: Where one is.
        """
        with self._core.lock:
            node = self.tree.find(parse_address(path, self._core.dm.providers))
            if node is None:
                return None
            opened = not node.open if want is None else want
            self.tree = self.tree.opened(node.address, opened)
            self._core.set(self.drawn(at))
        return self._fill(node, at) if opened and node.inside is None else None

    def more(self, path: str, at: Address) -> Job | None:
        """The next places of a place."""
        node = self.tree.find(parse_address(path, self._core.dm.providers))
        return self._fill(node, at) if node and node.next else None

    def _fill(self, node: Node, at: Address) -> Job:
        name, place = node.address
        look = Look(place, limit=PAGE, token=node.next, metadata=False)
        words = f"opening {node.place.label or name}"
        task = Task(f"open {node.address}", name, words, lambda: self._fill(node, at))

        def then(seen: Seen) -> Changes:
            self.tree = self.tree.seen(node.address, seen, more=node.next is not None)
            return self.drawn(at)

        return self._core.ask(task, lambda: self._look(name, look), then)

    def _reveal(self, address: Address) -> Job:
        name = address.storage_type
        task = Task("reveal", name, f"opening {name}", lambda: self._reveal(address))

        def then(found: list[tuple[Address, Seen]]) -> Changes:
            for above, seen in found:
                self.tree = self.tree.seen(above, seen).opened(above)
            self.tree = self.tree.opened(address)
            if self._learnt is not None:  # the rows came first, when the tree had no such place yet
                self.learn(*self._learnt)
            return self.drawn(address)

        return self._core.ask(task, lambda: self._way_to(address), then)

    def _way_to(self, address: Address) -> list[tuple[Address, Seen]]:
        found: list[tuple[Address, Seen]] = []
        at = Address(address.storage_type)
        while at != address:
            seen = self._look(at.storage_type, Look(at.place, limit=PAGE, metadata=False))
            found.append((at, seen))
            inside = [place.path for place in seen.places if address.place.startswith(place.path)]
            if not inside:
                break
            at = Address(at.storage_type, max(inside, key=len))
        return found
