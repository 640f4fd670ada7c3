"""Filters: one grammar, one meaning on every backend.

``parse`` turns a mapping into a small tree of frozen nodes, and ``node.matches(record)`` **is the
specification**: a backend may do natively what it can (:mod:`praval_storage.pushdown`), the answer
stays this one.

``{path: value}`` asks for equality, ``{path: {operator: operand}}`` for anything else; several
entries, and several operators under one path, are and-ed.

Paths: ``key``, ``created_at``, ``updated_at``, ``size``, ``format``; ``metadata.a.b``; ``data.a.b``; any
other bare path is a data field (``user_id`` is ``data.user_id``). A step fans out over a list of
objects; a number is also a position in a list. A field with a dot in its name cannot be addressed.

=====================  ==================================================================================
``$eq $ne``            equal, by the rules of :mod:`praval_storage.filters.values`; a list field also
                       matches when one of its elements does; ``None`` matches null and missing; a bare
                       mapping is a sub-document to be equal to
``$in $nin``           equal to one of a list
``$gt $gte $lt $lte``  within one type class: numbers (never booleans), strings by code point, dates,
                       aware datetimes, naive datetimes; anything else does not match
``$exists``            the path finds something (``None`` too), or finds nothing
``$contains``          a string field has this substring, a list or set field this element
``$prefix $regex``     a string field, or a string in a list field, starts with / ``re.search`` finds;
                       a compiled pattern as a bare value means ``$regex``
``$and $or``           lists of filters
``$not``               a filter, or operators under a path; like ``$ne`` and ``$nin`` the exact opposite:
                       missing fields match
=====================  ==================================================================================

A path is missing when it finds nothing at all. For ``created_at`` and ``updated_at`` operands are times: a
naive datetime or an ISO 8601 string without offset is taken as UTC, a date as its first moment. The columns
of a table that somebody else made have types as well, by which operands are read: such times for timestamps,
ISO dates for dates, floats as they are written for decimals, texts for UUIDs; and a name with a dot is found.
"""

from praval_storage.filters.grammar import OPERATORS, Filters, parse
from praval_storage.filters.nodes import (
    EVERYTHING,
    NOTHING,
    And,
    Compare,
    Node,
    Not,
    Or,
    conjunction,
    matches_foreign,
    paths,
)
from praval_storage.filters.operands import MAX_DEPTH
from praval_storage.filters.ordering import Order, Rank, parse_order, rank, sort_records
from praval_storage.filters.paths import Matchable, Path
from praval_storage.filters.values import Kind, classify, equal

__all__ = [
    "EVERYTHING",
    "MAX_DEPTH",
    "NOTHING",
    "OPERATORS",
    "And",
    "Compare",
    "Filters",
    "Kind",
    "Matchable",
    "Node",
    "Not",
    "Or",
    "Order",
    "Path",
    "Rank",
    "classify",
    "conjunction",
    "equal",
    "matches_foreign",
    "parse",
    "parse_order",
    "paths",
    "rank",
    "sort_records",
]
