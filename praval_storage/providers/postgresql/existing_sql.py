"""Pieces of SQL with their parameters, put together without ever formatting a string."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, LiteralString, NamedTuple

from psycopg import sql


class Sql(NamedTuple):
    """A piece of a statement, and the parameters of its placeholders in their order."""

    text: sql.Composed
    parameters: tuple[Any, ...] = ()


def compose(template: LiteralString, *parts: Sql) -> Sql:
    """The template with each ``{}`` replaced by a part; a ``%`` in it is written twice."""
    text = sql.SQL(template).format(*(part.text for part in parts))
    return Sql(text, _parameters(parts))


def joined(word: LiteralString, parts: Sequence[Sql]) -> Sql:
    """The parts with a word between them, each in parentheses when there are several."""
    if len(parts) == 1:
        return parts[0]
    return listed(word, [compose("({})", part) for part in parts])


def listed(word: LiteralString, parts: Sequence[Sql]) -> Sql:
    """The parts with a word between them."""
    return Sql(sql.SQL(word).join([part.text for part in parts]), _parameters(parts))


def name(*names: str) -> Sql:
    """A quoted name, qualified if there are several."""
    # psycopg looks for placeholders in quoted names too.
    return Sql(sql.Composed([sql.Identifier(*(each.replace("%", "%%") for each in names))]))


def value(of: Any, kind: Sql) -> Sql:
    """A parameter with an explicit cast."""
    return compose("CAST({} AS {})", Sql(sql.Composed([sql.Placeholder()]), (of,)), kind)


def like(text: Sql, prefix: str) -> Sql:
    """The condition that a text begins like this; indexes in collation "C" or for patterns serve."""
    pattern = re.sub(r"([\\%_])", r"\\\1", prefix) + "%"
    return compose("{} LIKE {}", text, value(pattern, name("pg_catalog", "text")))


def _parameters(parts: Iterable[Sql]) -> tuple[Any, ...]:
    return tuple(parameter for part in parts for parameter in part.parameters)
