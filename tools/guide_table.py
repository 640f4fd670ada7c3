"""Write the table of the README that says which test shows which section of the storage guide.

    python tools/guide_table.py          # rewrites the table in README.md
    python tools/guide_table.py --check  # 1 when README.md says something else

It is read from the marks of the tests: ``@pytest.mark.guide("<block>")``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- table of tools/guide_table.py -->", "<!-- end of the table -->"

sys.path.append(str(ROOT / "tests"))
from guide import BLOCKS, shown  # noqa: E402 - beside the tests that are marked


def main() -> int:
    """Compare or rewrite; 0 when README.md is as it should be."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    text = README.read_text(encoding="utf-8")
    between = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
    table = "".join(f"{line}\n" for line in lines())
    right = between.sub(lambda _: f"\n{table}\n", text)
    if not check:
        README.write_text(right, encoding="utf-8")
    elif right != text or table not in text:
        print(
            "README.md: the table of the guide is out of date: python tools/guide_table.py", file=sys.stderr
        )
        return 1
    return 0


def lines() -> Iterator[str]:
    """The table, a line for each section that has blocks."""
    yield "| section of the guide | shown by |"
    yield "| --- | --- |"
    sections: dict[str, dict[str, None]] = {}
    for name, tests in shown().items():
        sections.setdefault(BLOCKS[name].section, {}).update(dict.fromkeys(tests))
    for section, found in sections.items():
        yield f"| {_literal(section)} | {', '.join(map(_linked, found))} |"


def _linked(test: str) -> str:
    file, _, name = test.partition("::")
    return f"[`{name}`](tests/{file})"


def _literal(section: str) -> str:
    return f"`{section}`" if section.startswith("@") else section


if __name__ == "__main__":
    sys.exit(main())
