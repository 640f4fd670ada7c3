"""``dm.tree``: what is where, a few levels deep, in one bounded look at each place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape

from praval_storage.display import name_text, printable
from praval_storage.errors import StorageError
from praval_storage.looking.listed import ended
from praval_storage.looking.pages import look
from praval_storage.looking.where import Where
from praval_storage.places import Look, Place, Seen
from praval_storage.provider_set import ProviderSet

WIDTH = 20
"""Entries shown of one place."""
MOST_PLACES = 100
"""Places that are looked at."""
MOST_BYTES = 5_500
"""Of HTML, before the rest is left out."""
BUDGET = 2_000


@dataclass(frozen=True, slots=True)
class Branch:
    """Something in a tree.

    Attributes:
        name: Its name, with what ends names of its kind.
        note: A few words about it.
        inner: What is in it, as far as it was looked at.
        more: Whether there is more in it.
    """

    name: str
    note: str = ""
    inner: list[Branch] = field(default_factory=list)
    more: bool = False

    def lines(self, indent: str = "") -> Iterator[str]:
        """One line each, indented by two."""
        yield f"{indent}{self.name}{f'  {self.note}' if self.note else ''}"
        for branch in self.inner:
            yield from branch.lines(f"{indent}  ")
        if self.more:
            yield f"{indent}  ... more"


class Tree:
    """Places and records as a tree; ``str(tree)`` is the plain text.

    Attributes:
        root: Where it begins.
        truncated: Whether anything was left out: beyond the depth, the width, or the places looked at.
    """

    def __init__(self, root: Branch) -> None:
        self.root = root
        self.truncated = _is_cut(root)

    def __str__(self) -> str:
        return "\n".join(self.root.lines())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        pieces: list[str] = []
        is_whole = _write(self.root, pieces, MOST_BYTES)
        left_out = "" if is_whole else "<p>cut here: print(tree) shows the rest</p>"
        return f"<div>{''.join(pieces)}{left_out}</div>"


def tree(providers: ProviderSet, where: Where, depth: int, delimiter: str | None) -> Tree:
    """The tree below a place, ``depth`` levels deep."""
    page = Look(limit=WIDTH, budget=BUDGET, metadata=False, delimiter=delimiter)
    grower = _Grower(providers, page)
    if where.storage_type:
        return Tree(grower.grown(Branch(where.url), where, depth))
    branches = [grower.grown(Branch(name), Where(name, ""), depth) for name in providers]
    return Tree(Branch("DataManager", inner=branches))


class _Grower:
    def __init__(self, providers: ProviderSet, page: Look) -> None:
        self._providers = providers
        self._page = page
        self._left = MOST_PLACES

    def grown(self, branch: Branch, where: Where, depth: int) -> Branch:
        """The branch with what is in it; of a provider that is down, why."""
        if depth <= 0 or self._left <= 0:
            return Branch(branch.name, branch.note, more=True)
        self._left -= 1
        try:
            seen = look(
                self._providers, where.storage_type, replace(self._page, path=where.path, where=where.also())
            )
        except (StorageError, ImportError) as error:
            return Branch(branch.name, f"{type(error).__name__}: {printable(str(error), 200)}")
        inner = [self._place(place, seen, where.storage_type, depth) for place in seen.places]
        inner += [Branch(name_text(seen.label(row))) for row in seen.rows]
        return Branch(branch.name, branch.note, inner, seen.next is not None or seen.stopped)

    def _place(self, place: Place, seen: Seen, storage_type: str, depth: int) -> Branch:
        count = place.count.words("record") if place.count is not None else ""
        branch = Branch(
            ended(place, seen),
            printable("; ".join(filter(None, (count, place.note, place.read_only))), 100),
        )
        return self.grown(branch, Where(storage_type, place.path), depth - 1)


def _is_cut(branch: Branch) -> bool:
    return branch.more or any(map(_is_cut, branch.inner))


def _write(branch: Branch, pieces: list[str], most: int) -> bool:
    """Nested lists that open on a click; whether there was room for all."""
    name = f"{escape(branch.name)}{f' ({escape(branch.note)})' if branch.note else ''}"
    if sum(map(len, pieces)) + len(name) > most:
        return False
    if not (branch.inner or branch.more):
        pieces.append(f"<div>{name}</div>")
        return True
    pieces.append(f"<details open><summary>{name}</summary><ul>")
    is_whole = True
    for inner in branch.inner:
        pieces.append("<li>")
        is_whole = is_whole and _write(inner, pieces, most)
        pieces.append("</li>")
        if not is_whole:
            break
    pieces.append(f"{'<li>... more</li>' if branch.more else ''}</ul></details>")
    return is_whole
