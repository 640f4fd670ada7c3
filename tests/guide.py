"""The storage guide block by block, and which tests show it: ``@pytest.mark.guide("<block>")``.

``tests/data/storage-guide.md`` is the guide as it was printed. Its code runs as it is, with the storage names
imported from ``praval_storage``; names a block takes from earlier imports of the guide it has here as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
GUIDE = (TESTS / "data" / "storage-guide.md").read_text(encoding="utf-8")

_FENCES = re.compile(r"^#+ ([^\n]*)$|^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRAVAL = re.compile(r"^from praval import agent, (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """What stands between two fences.

    Attributes:
        section: The heading above it.
        language: ``"python"``, ``"bash"``, or ``""`` for what a terminal shows.
        text: The block as printed.
    """

    section: str
    language: str
    text: str

    @property
    def is_signature(self) -> bool:
        """Whether it shows how a method is called, with types where the values go: no Python."""
        return self.language == "python" and ") -> " in self.text.splitlines()[-1]

    @property
    def is_code(self) -> bool:
        """Whether it is Python to run."""
        return self.language == "python" and not self.is_signature

    @property
    def code(self) -> str:
        """The block with its storage names imported from here; agents stay praval's."""
        code = re.sub(r"\bpraval\.storage\b", "praval_storage", self.text)
        code = _PRAVAL.sub(r"from praval import agent\nfrom praval_storage import \1", code)
        return code.replace(
            "from praval import get_data_manager", "from praval_storage import get_data_manager"
        )


def _blocks() -> Iterator[tuple[str, Block]]:
    section, number = "", 0
    for heading, language, text in _FENCES.findall(GUIDE):
        if heading:
            section, number = heading, 0
        else:
            number += 1
            yield (section if number == 1 else f"{section} {number}"), Block(section, language, text)


BLOCKS = dict(_blocks())
"""Every block by the heading above it; ``<heading> 2`` is the second one there."""


def imported_before(name: str) -> str:
    """The imports of earlier blocks whose names a block uses."""
    block = ast.parse(BLOCKS[name].code)
    wanted = {node.id for node in ast.walk(block) if isinstance(node, ast.Name)}
    found: dict[str, str] = {}
    for earlier in [*BLOCKS][: [*BLOCKS].index(name)]:
        for node in ast.parse(BLOCKS[earlier].code).body if BLOCKS[earlier].is_code else ():
            if isinstance(node, ast.ImportFrom):
                found |= {alias.name: f"from {node.module} import {alias.name}" for alias in node.names}
    return "\n".join(line for imported, line in found.items() if imported in wanted)


def shown() -> dict[str, list[str]]:
    """The tests that show each block, as ``<file>::<test>``, read from the marks in the tests' source.

    Code is shown by tests that run it: those that take the fixture ``run``.
    """
    found: dict[str, list[str]] = {name: [] for name in BLOCKS}
    for path in sorted(TESTS.glob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if "pytest.mark.guide(" in source:
            for test, name in _marked(ast.parse(source)):
                found.setdefault(name, []).append(f"{path.name}::{test}")
    return found


def _marked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for test in tree.body:
        if isinstance(test, ast.FunctionDef):
            runs = "run" in [argument.arg for argument in test.args.args]
            names = [name for mark in test.decorator_list for name in _blocks_of(mark)]
            yield from ((test.name, name) for name in names if runs or not _is_code(name))


def _blocks_of(mark: ast.expr) -> list[str]:
    if not isinstance(mark, ast.Call) or ast.unparse(mark.func) != "pytest.mark.guide":
        return []
    return [ast.literal_eval(name) for name in mark.args]


def _is_code(name: str) -> bool:
    return name in BLOCKS and BLOCKS[name].is_code
