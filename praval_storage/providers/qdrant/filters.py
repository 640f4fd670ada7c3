"""Filters to conditions on points of ours, and on points that somebody else wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from praval_storage.filters import EVERYTHING, Compare, Node, Path, matches_foreign, paths
from praval_storage.providers.qdrant.conditions import (
    NEVER,
    Test,
    all_of,
    any_of,
    field_names,
    matching,
    on_id,
    on_size,
    on_text,
    on_time,
    on_tree,
)
from praval_storage.providers.qdrant.engine import Condition, Schema
from praval_storage.providers.qdrant.payload import LAYOUT, LAYOUT_1, LOOSE, time_text
from praval_storage.pushdown import Compiler, Native

OURS: Condition = {"key": LAYOUT, "match": {"value": LAYOUT_1}}
FOREIGN: Condition = {"must_not": [OURS]}
GATES: Mapping[str, str] = {LAYOUT: "keyword", LOOSE: "keyword"}
"""The indexes every filtered collection needs."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A filter for the engine.

    Attributes:
        condition: Selects a superset of the matches, of ours and of others' points; ``None`` selects all.
        pushed: The part it stands for.
        residual: The part left to decide on points of ours that are not loose.
        indexes: Payload fields it looks at, and the kind of index each should have.
    """

    condition: Condition | None
    pushed: Node = EVERYTHING
    residual: Node = EVERYTHING
    indexes: Mapping[str, str] = field(default_factory=dict)


def compile_filter(node: Node, schema: Schema) -> Compiled:
    """A filter for a collection of our points, which may hold other people's as well."""
    own, foreign = _Own(schema), _Foreign(schema)
    ours = own.compile(node)
    if ours.condition is None:
        return Compiled(None, ours.pushed, ours.residual)
    condition = any_of([ours.condition, _loose(node)])
    if not schema.foreign:
        return Compiled(condition, ours.pushed, ours.residual, {**GATES, **own.indexes})
    branches = [all_of([OURS, condition])]
    if matches_foreign(node):
        others = foreign.compile(node)
        branches.append(all_of([FOREIGN, others.condition] if others.condition else [FOREIGN]))
    indexes = {**GATES, **foreign.indexes, **own.indexes}
    return Compiled(any_of(branches), ours.pushed, ours.residual, indexes)


def _loose(node: Node) -> Condition:
    trees = {path for path in paths(node) if path.parts}
    fields = {path.root for path in trees}
    fields |= {f"{path.root}.{path.parts[0]}" for path in trees if _is_utf8(path.parts[0])}
    return matching(LOOSE, "any", sorted(fields)) if fields else NEVER


def _is_utf8(value: object) -> bool:
    """Whether the engine takes all text in a value: it refuses lone surrogates."""
    if isinstance(value, tuple):
        return all(map(_is_utf8, value))
    try:
        return not isinstance(value, str) or str.encode(value) is not None
    except UnicodeEncodeError:
        return False


class _Layout(Compiler[Condition]):
    """Conditions on points of one layout; remembers which payload fields they look at."""

    def __init__(self, schema: Schema) -> None:
        self.indexes: dict[str, str] = {}
        self._schema = schema

    def all_of(self, conditions: Sequence[Condition]) -> Condition:
        return all_of(conditions)

    def any_of(self, conditions: Sequence[Condition]) -> Condition:
        return any_of(conditions)

    def negate(self, condition: Condition) -> Condition:
        return {"must_not": [condition]}

    def compare(self, node: Compare) -> Native[Condition] | None:
        if node.op in {"prefix", "contains"} and not self._schema.texts:
            return None
        if not _is_utf8((node.path.parts, node.operand)):
            return None
        compiled = self.native(node)
        return None if compiled is None else compiled.native(self.indexes)

    def native(self, node: Compare) -> Test | None:
        """The comparison; ``None`` when the engine cannot say it."""
        raise NotImplementedError


class _Own(_Layout):
    def native(self, node: Compare) -> Test | None:
        match node.path.root:
            case "key" | "format":
                return on_text(node)
            case "size":
                return on_size(node)
            case "created_at" | "updated_at":
                return on_time(node)
            case root:
                names = field_names(root, node.path.parts)
                return None if names is None else on_tree(node, names)


class _Foreign(_Layout):
    """Everything of somebody else's payload is data; nothing marks its empty lists."""

    def native(self, node: Compare) -> Test | None:
        if node.path == Path("key") and node.op == "eq":
            return on_id(node.operand)
        names = field_names("", node.path.parts) if node.path.root == "data" else None
        if names is None or node.op == "exists":
            return None
        test = on_tree(node, names)
        return None if test is None else test.inexactly()


def living_at(now: datetime) -> Condition:
    """Selects the records that have not ceased to exist."""
    return {"must_not": [expired_before(now)]}


def expired_before(now: datetime) -> Condition:
    """Selects the records that have ceased to exist."""
    return all_of([OURS, {"key": "expires_at", "range": {"lte": time_text(now.astimezone(UTC))}}])
