"""Write the two tables of the README that say what works where, from what the backends answer.

    python tools/support_matrix.py          # rewrites the tables in README.md
    python tools/support_matrix.py --check  # 1 when README.md says something else

Every value of the conformance suite is stored on every backend and read back; every operator is asked on a
key, a metadata field and a data field, and the plan of the answer tells where it ran.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from praval_storage import DataManager
from praval_storage.sandbox import Sandbox
from praval_storage.testing.values import CONVERTED_VALUES, ROUND_TRIP_VALUES, RoundTrip

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- tables of tools/support_matrix.py -->", "<!-- end of the tables -->"

KINDS = {
    "`None`, bool, int, float, str, also NaN, huge and NUL": (
        *("none", "true", "false", "int", "float", "nan", "infinity", "negative", "str"),
    ),
    "list, dict (any keys), tuple, set, range": (
        *("list", "dict", "nested", "tuple", "set", "frozenset", "range", "keys", "many"),
    ),
    "datetime, date, time, timedelta": ("datetime", "date", "time", "timedelta"),
    "Decimal, complex, UUID, bytes": ("decimal", "complex", "uuid", "bytes", "bytearray"),
    "numpy scalars and arrays": ("numpy", "array"),
    "pandas Timestamp, Timedelta, NaT, NA": ("timestamp", "timedelta/pandas", "nat", "na"),
    "DataFrame, Series": ("frame", "series"),
    "Arrow table, Polars frame": ("arrow", "polars"),
    "text, image": ("text", "image"),
    "Enum, dataclass, namedtuple and other classes, as what they stand for": (
        *("enum", "subclasses", "namedtuple", "dataclass", "mappings", "deque", "memoryview"),
    ),
}

OPERATORS: dict[str, Any] = {
    "$eq": "b",
    "$ne": "b",
    "$gt": "b",
    "$gte": "b",
    "$lt": "b",
    "$lte": "b",
    "$in": ["a", "b"],
    "$nin": ["a", "b"],
    "$exists": True,
    "$contains": "b",
    "$prefix": "b",
    "$regex": "^b",
}
FIELDS = {"k": "key", "m": "metadata.word", "d": "word"}


def main() -> int:
    """Rewrite or check the README; the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    check: bool = parser.parse_args().check
    with Sandbox() as dm:
        wanted = with_tables(README.read_text(encoding="utf-8"), tables(dm))
    if check:
        return int(README.read_text(encoding="utf-8") != wanted)
    README.write_text(wanted, encoding="utf-8")
    return 0


def with_tables(readme: str, text: str) -> str:
    """The README with these tables between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def tables(dm: DataManager) -> str:
    """Both tables, a column for each provider of the manager."""
    names = list(dm.providers)
    values = {name: _values(dm, name) for name in names}
    operators = {name: _operators(dm, name) for name in names}
    return "\n\n".join((_table("type", values), _table("operator", operators)))


def _table(corner: str, columns: Mapping[str, Mapping[str, str]]) -> str:
    rows = [[corner, *columns], ["---"] * (len(columns) + 1)]
    rows += [[row, *(column[row] for column in columns.values())] for row in next(iter(columns.values()))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _values(dm: DataManager, name: str) -> dict[str, str]:
    """By kind of value: whether all of its examples came back exactly."""
    examples = [*ROUND_TRIP_VALUES, *CONVERTED_VALUES]
    stored = dm.store_many((each.value for each in examples), name)
    back = dm.retrieve_many(stored.references)
    exact: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for example, outcome in zip(examples, back, strict=True):
        exact[_kind(example)].append(outcome.error is None and example.equal(outcome.value, example.value))
    dm.delete_many(stored.references)
    return {kind: "yes" if all(each) else f"{sum(each)} of {len(each)}" for kind, each in exact.items()}


def _kind(example: RoundTrip) -> str:
    word = example.id.replace("timedelta-pandas", "timedelta/pandas").partition("-")[0]
    return next(kind for kind, words in KINDS.items() if word in words)


def _operators(dm: DataManager, name: str) -> dict[str, str]:
    """By operator: the fields the backend decides it on; in brackets those it only narrows down."""
    words = ("a", "b", "c")
    stored = dm.store_many(
        ({"word": word} for word in words), name, words, ({"word": word} for word in words)
    )
    found = {
        operator: " ".join(_where(dm, name, {operator: operand})) for operator, operand in OPERATORS.items()
    }
    dm.delete_many(stored.references)
    return found


def _where(dm: DataManager, name: str, condition: dict[str, Any]) -> Iterator[str]:
    for letter, path in FIELDS.items():
        plan = dm.query(name, {path: condition}, limit=None).plan
        if plan.pushed:
            yield f"({letter})" if plan.residual else letter


if __name__ == "__main__":
    sys.exit(main())
