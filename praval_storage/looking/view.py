"""``dm["s3"]``: one provider, its own records by key, and what a notebook completes after the bracket."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from threading import Thread
from time import monotonic
from typing import Any

from praval_storage.display import as_html, facts, printable
from praval_storage.errors import InvalidKeyError, KeyNotFoundError
from praval_storage.filters import Compare, Path
from praval_storage.looking.listed import Filters, Listed, ls
from praval_storage.looking.pages import look
from praval_storage.looking.tree import Tree, tree
from praval_storage.looking.where import ENDS, check, last_part, own
from praval_storage.options import options
from praval_storage.places import MOST, Look, Seen
from praval_storage.provider_set import ProviderSet

PATIENCE = 1.0
"""Seconds that a completion may take."""
OFFERED = 100
"""Keys and places that a completion offers."""
_TYPED = re.compile(r"""\[\s*[rR]?(["'])((?:(?!\1).)*)$""")


class ProviderView:
    """One provider: ``dm["s3"]["datasets/a.csv"]`` is the value under a key, as of ``dm.retrieve_by_key``.

    Attributes:
        storage_type: The name it is registered under.
    """

    __iter__ = None  # a listing has pages: ``ls`` shows them

    def __init__(
        self,
        providers: ProviderSet,
        storage_type: str,
        retrieve: Callable[[str], Any],
        exists: Callable[[str], bool],
    ) -> None:
        check(providers, storage_type)
        self.storage_type = storage_type
        self._providers = providers
        self._retrieve = retrieve
        self._exists = exists

    def __getitem__(self, key: str) -> Any:
        try:
            return self._retrieve(key)
        except (InvalidKeyError, KeyNotFoundError) as error:
            if not str(key).endswith(ENDS):
                raise
            shown = f"dm[{self.storage_type!r}].ls({key!r})"
            raise type(error)(f"No record under {key!r}", hint=f"To see what is there: {shown}") from None

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._exists(key)

    def ls(
        self,
        path: str = "",
        *,
        text: str = "",
        filters: Filters = None,
        limit: int = 100,
        order_by: str | None = None,
        delimiter: str | None = None,
    ) -> Listed:
        """One page of the provider's own records, or of a folder or prefix of theirs; see ``dm.ls``."""
        place = own(self._providers, self.storage_type, path)
        return ls(self._providers, place, text, filters, limit, order_by, delimiter)

    def tree(self, path: str = "", *, depth: int = 2, delimiter: str | None = None) -> Tree:
        """The provider's own records as a tree; see ``dm.tree``."""
        place = own(self._providers, self.storage_type, path)
        return tree(self._providers, place, depth, delimiter)

    def __repr__(self) -> str:
        state = self._providers.calls(self.storage_type).last
        return (
            f"<{printable(self.storage_type)}: {state.status}{f', {state.detail}' if state.detail else ''}>"
        )

    def _repr_html_(self) -> str:
        place = "" if options.stable_repr else self._providers.place(self.storage_type)
        state = self._providers.calls(self.storage_type).last
        known = {"state": f"{state.status} {state.detail}".strip(), **({"where": place} if place else {})}
        return as_html(facts(f"Provider {printable(self.storage_type)}", known))

    def _ipython_key_completions_(self) -> list[str]:
        """Keys and places one level below what has been typed: those found within a second."""
        found, typed = _Offer(), _typed()
        worker = Thread(target=lambda: self._find(typed, found), daemon=True)
        worker.start()
        worker.join(PATIENCE)
        return found.below(typed)

    def _find(self, typed: str, found: _Offer) -> None:
        """Page after page, as long as somebody waits."""
        until = monotonic() + PATIENCE
        with suppress(Exception):  # a completion that fails must not get in the way of typing
            inside = own(self._providers, self.storage_type).path
            for request in self._requests(typed):
                while len(found.below(typed)) < OFFERED and monotonic() < until:
                    seen = look(self._providers, self.storage_type, request)
                    found.add(seen, inside)
                    if seen.next is None:
                        break
                    request = replace(request, token=seen.next)
                if found.below(typed):
                    return

    def _requests(self, typed: str) -> Iterator[Look]:
        """Where keys that begin so may be; the next one if nothing is there."""
        where = own(self._providers, self.storage_type, typed)
        if where.keys:
            yield Look(where.path, where=Compare(Path("key"), "prefix", typed), limit=MOST, metadata=False)
            return
        level = typed[: last_part(typed)]
        for above in dict.fromkeys((level, "")):  # the separators typed may be part of a key
            path = own(self._providers, self.storage_type, above).path
            yield Look(path, typed[len(above) :], limit=MOST, metadata=False)


class _Offer:
    """What a completion has found so far; it grows in another thread than it is read in."""

    def __init__(self) -> None:
        self._places: list[str] = []
        self._keys: list[str] = []

    def add(self, seen: Seen, inside: str) -> None:
        """One more page; ``inside`` is what paths have in front of keys."""
        self._places += (place.path.removeprefix(inside) for place in seen.places)
        self._keys += (row.key for row in seen.rows)

    def below(self, typed: str) -> list[str]:
        """What is worth offering: of too many keys what stands before their next ``/``, which leads on."""
        names = [name for name in [*self._places, *self._keys] if name.startswith(typed)]
        if len(names) > OFFERED:
            at = last_part(typed)
            names = [name[: name.find("/", at) + 1] or name for name in names]
            names.sort(key=lambda name: not name.endswith("/"))
        return list(dict.fromkeys(names))[:OFFERED]


def known_to_ipython(*types: type) -> None:
    """Let IPython evaluate ``dm["s3"]`` while completing what follows: it does so for types it knows."""
    if _shell() is not None:
        evaluation = import_module("IPython.core.guarded_eval")  # loaded with the first completion otherwise
        for name in ("limited", "minimal"):
            policy = getattr(evaluation, "EVALUATION_POLICIES", {}).get(name)
            allowed: set[type] = getattr(policy, "allowed_getitem", set())
            allowed.update(types)


def _typed() -> str:
    """The key typed so far, if IPython is asking; it does not say so itself."""
    text = getattr(getattr(_shell(), "Completer", None), "text_until_cursor", "")
    found = _TYPED.search(text)
    return found[2] if found else ""


def _shell() -> Any:
    """The IPython this runs in, if it does."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
