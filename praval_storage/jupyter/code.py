"""The current view as Python."""

from __future__ import annotations

from praval_storage.filters import EVERYTHING
from praval_storage.jupyter.pages import Pages
from praval_storage.jupyter.state import State


def view_as_code(state: State, pages: Pages) -> str:
    """The record that is selected, else what is listed, else the browser itself."""
    if state.selected_ids and pages.answer is not None:
        keys = f"{{'key': {{'$in': {list(state.selected_ids)!r}}}}}"
        return _query(state, pages, keys, None)
    if state.selected:
        return f"dm.retrieve({state.selected!r})"
    if not state.path:
        return "dm.browse()"
    if pages.answer is None:
        return f"dm.browse({', '.join([repr(state.path), *_delimiter(pages)])})"
    if pages.delimiter:
        return _listing(state, pages)
    return _query(state, pages, repr(pages.filters()), pages.size)


def _listing(state: State, pages: Pages) -> str:
    """One level, because only there a delimiter that somebody chose makes a difference."""
    name, place = pages.address
    text, where = pages.question
    parts = [repr(f"{name}://{place}")]
    parts += [f"text={text!r}"] if text else []
    parts += [f"filters={where.to_filters()!r}"] if where != EVERYTHING else []
    parts += [f"limit={pages.size}"]
    return f"dm.ls({', '.join([*parts, *_order(state, pages), *_delimiter(pages)])})"


def _order(state: State, pages: Pages) -> list[str]:
    """The order, if the rows are in it."""
    is_made = pages.answer is None or pages.answer.seen.ordered
    return [f"order_by={state.sort!r}"] if state.sort and is_made else []


def _delimiter(pages: Pages) -> list[str]:
    return [f"delimiter={pages.delimiter!r}"] if pages.delimiter else []


def _query(state: State, pages: Pages, filters: str, limit: int | None) -> str:
    collection = pages.answer and pages.answer.seen.collection
    parts = [repr(pages.address.storage_type)]
    parts += [filters] if filters != "{}" else []
    parts += [f"limit={limit}"]
    parts += _order(state, pages)
    parts += [f"collection={collection!r}"] if collection is not None else []
    return f"dm.query({', '.join(parts)})"
