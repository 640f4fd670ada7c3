"""Opening and closing places in the tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from praval_storage.errors import ConfigurationError
from praval_storage.jupyter.address import Address, parse_address
from praval_storage.jupyter.core import Changes, Core, Task
from praval_storage.jupyter.lanes import Job
from praval_storage.jupyter.tree import Node, Tree, labels, to_json
from praval_storage.labels import check_delimiter
from praval_storage.places import Look, Seen

PAGE = 100
"""Places that the tree asks for at a time."""

Looker = Callable[[str, Look], Seen]


class Outline:
    """The tree, and the questions it asks.

    Args:
        core: The state and the way to ask.
        look: Answers a look at a provider.

    Attributes:
        tree: What has been seen.
        chosen: The delimiters that somebody chose, by provider.
        used: Those that providers have, ``""`` where there is none to choose, as far as is known.
    """

    def __init__(self, core: Core, look: Looker) -> None:
        self._core = core
        self._look = look
        self.tree = Tree.of(core.dm.providers)
        self._learnt: tuple[Address, Seen] | None = None
        self.chosen: dict[str, str] = {}
        self.used: dict[str, str] = {}

    def delimit(self, storage_type: str, delimiter: str) -> bool:
        """Have the places of a provider end with another delimiter, ``""`` = with its own.

        Returns:
            Whether it is another one: then nobody has looked into the provider yet.

        Raises:
            ConfigurationError: It can be none, or there is no choice.
        """
        if delimiter != "":
            self._check_delimiter(storage_type, delimiter)
        if delimiter in {self.used.get(storage_type), self.chosen.get(storage_type, "")}:
            return False
        for known in (self.chosen, self.used):
            known.pop(storage_type, None)
            known.update({storage_type: delimiter} if delimiter else {})
        nodes = self.tree.nodes.values()
        self._core.forget(*(_kind(node) for node in nodes if node.address.storage_type == storage_type))
        self.tree, self._learnt = self.tree.without(storage_type), None
        return True

    def learn_delimiter(self, storage_type: str, seen: Seen) -> str:
        """Take over which delimiter a provider used; ``""`` = it has none to choose."""
        self.used[storage_type] = seen.delimiter or self.used.get(storage_type, "")
        return self.used[storage_type]

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
        # Of a place with places in it, the rows are only a part of what is below it.
        if seen.total is not None and node is not None and not node.place.parent:
            self.tree = self.tree.counted(address, seen.total)

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
        name = node.address.storage_type
        look = replace(self._page(node.address), token=node.next)
        words = f"opening {node.place.label or name}"
        task = Task(_kind(node), name, words, lambda: self._fill(node, at))

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

        top = self._page(Address(name))
        return self._core.ask(task, lambda: self._way_to(address, top), then)

    def _page(self, address: Address) -> Look:
        delimiter = self.chosen.get(address.storage_type)
        return Look(address.place, limit=PAGE, metadata=False, delimiter=delimiter)

    def _way_to(self, address: Address, page: Look) -> list[tuple[Address, Seen]]:
        found: list[tuple[Address, Seen]] = []
        at = Address(address.storage_type)
        while at != address:
            seen = self._look(at.storage_type, replace(page, path=at.place))
            found.append((at, seen))
            inside = [place.path for place in seen.places if address.place.startswith(place.path)]
            if not inside:
                break
            at = Address(at.storage_type, max(inside, key=len))
        return found

    def _check_delimiter(self, storage_type: str, delimiter: object) -> None:
        check_delimiter(delimiter)
        if not storage_type:
            raise ConfigurationError("A delimiter is that of a provider, and none is shown")
        if self.used.get(storage_type) == "":
            raise ConfigurationError(f"The places of {storage_type!r} have no delimiter that can be chosen")


def _kind(node: Node) -> str:
    """What a question about what is in a place is called."""
    return f"open {node.address}"
