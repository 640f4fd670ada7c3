"""Pickles: what their opcodes name. Nothing is unpickled, so nothing of them is imported or run."""

from __future__ import annotations

import pickletools
from collections import deque
from typing import Any

from praval_storage.display import listed, printable, size_text
from praval_storage.preview.beginning import Beginning
from praval_storage.preview.binary import dump
from praval_storage.preview.seen import Seen

_NAMED = 20
_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})
_SILENT = frozenset({"PROTO", "FRAME"})


def opcodes(found: Beginning) -> Seen:
    """The protocol of a pickle, and the functions and classes it would call."""
    protocol, names, is_complete = _read(found.body)
    facts = {"protocol": str(protocol), "names": ", ".join(names[:_NAMED])}
    loaded = (
        "with allow_pickle=True dm.retrieve(uri) runs code from it"
        if found.stored.format == "pickle"
        else "dm.retrieve(uri) gives its bytes, and unpickling them runs code"
    )
    about = f"pickle, protocol {protocol}, {size_text(found.size)}; {loaded}"
    notes = [about, f"It names {listed(names)}" if names else "It names no function or class"]
    if not is_complete:
        notes.append(
            "It breaks off, or is no pickle" if found.is_whole else "Only its beginning was looked at"
        )
    return Seen("pickle", facts, notes, dump(found).parts)


def _read(body: bytes) -> tuple[int, list[str], bool]:
    """Protocol, names in order, and whether there is an end."""
    protocol = 0
    names, machine = dict[str, None](), _Names()
    try:
        for opcode, argument, _ in pickletools.genops(body):
            if opcode.name == "PROTO":
                protocol = argument or 0
            elif (name := machine.after(opcode.name, argument)) is not None:
                names[printable(name)] = None
        return protocol, list(names), True
    except (ValueError, UnicodeDecodeError, OverflowError, MemoryError):
        return protocol, list(names), False


class _Names:
    """Follows the texts of a pickle as far as it takes to know which of them are names."""

    def __init__(self) -> None:
        self._top: deque[str | None] = deque([None, None], 2)
        self._memo: dict[int, str | None] = {}

    def after(self, opcode: str, argument: Any) -> str | None:
        """What an opcode imports, if that is what it does."""
        if opcode == "MEMOIZE" or opcode in _PUT:
            self._memo[len(self._memo) if argument is None else argument] = self._top[-1]
            return None
        if opcode in _SILENT:
            return None
        name = None
        if opcode in {"GLOBAL", "INST"}:
            name = ".".join(str(argument).split(" ", 1))
        elif opcode == "STACK_GLOBAL":
            name = ".".join("?" if text is None else text for text in self._top)
        remembered = self._memo.get(argument) if opcode in _GET else None
        self._top.append(argument if isinstance(argument, str) and name is None else remembered)
        return name
