"""Between our words and those of the embedded engine: filters, vectors, payloads and their indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import qdrant_edge as edge

from praval_storage.providers.qdrant.engine import Condition, Row, Selector

_INDEXES: Mapping[str, Callable[[], Any]] = {
    "keyword": lambda: edge.KeywordIndexParams(prefix=True),
    "integer": lambda: edge.PayloadSchemaType.Integer,
    "float": lambda: edge.PayloadSchemaType.Float,
    "bool": lambda: edge.PayloadSchemaType.Bool,
    "datetime": lambda: edge.PayloadSchemaType.Datetime,
}


def make_filter(condition: Condition) -> edge.Filter:
    """A condition as the engine's filter object."""
    whole = condition if condition.keys() <= {"must", "should", "must_not"} else {"must": [condition]}
    clauses: dict[str, Any] = {clause: list(map(_condition, parts)) for clause, parts in whole.items()}
    return edge.Filter(**clauses)


def _condition(condition: Condition) -> Any:
    match condition:
        case {"key": key, "match": match}:
            return edge.FieldCondition(key, match=_match(match))
        case {"key": key, "range": limits}:
            ranged = edge.RangeDateTime if isinstance(next(iter(limits.values())), str) else edge.RangeFloat
            return edge.FieldCondition(key, range=ranged(**limits))
        case {"is_empty": {"key": key}}:
            return edge.IsEmptyCondition(key)
        case {"is_null": {"key": key}}:
            return edge.IsNullCondition(key)
        case {"has_id": ids}:
            return edge.HasIdCondition(set(ids))
        case _:
            return make_filter(condition)


def _match(match: Mapping[str, Any]) -> Any:
    [(how, operand)] = match.items()
    if how == "value":
        # True is taken for the integer 1; numpy's bool is taken for what it is.
        value: Any = np.bool_(operand) if isinstance(operand, bool) else operand
        return edge.MatchValue(value)
    return {"any": edge.MatchAny, "prefix": edge.MatchPrefix, "substring": edge.MatchSubstring}[how](operand)


def payload_selector(selector: Selector) -> Any:
    """Which part of the payload comes along, in the engine's words."""
    if selector.only:
        return edge.PayloadSelector.Include(list(selector.only))
    return edge.PayloadSelector.Exclude(list(selector.without)) if selector.without else True


def rows_of(records: Iterable[Any]) -> list[Row]:
    """Records of the engine as ours."""
    return [Row(record.id, record.payload or {}, _vector(record.vector)) for record in records]


def _vector(vector: Any) -> Any:
    """Sparse vectors are objects of the engine; the rest is plain already."""
    if isinstance(vector, dict):
        return {name: _vector(one) for name, one in vector.items()}
    if isinstance(vector, edge.SparseVector):
        return {"indices": vector.indices, "values": vector.values}
    return vector


def index_params(kind: str) -> Any:
    """A payload index in the engine's words."""
    return _INDEXES[kind]()


def index_kind(info: Any) -> str:
    """What kind of payload index the engine says it has."""
    return str(info.data_type).rsplit(".", 1)[-1].lower()
