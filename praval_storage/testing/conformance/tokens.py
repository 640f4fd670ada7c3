"""Going on with the next page: what a token survives, and what it is refused for."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest

from praval_storage.base import BaseStorageProvider, CanBrowse, CanQuery, RecordProvider
from praval_storage.errors import ConfigurationError
from praval_storage.filters import Order, parse, parse_order
from praval_storage.manager import DataManager
from praval_storage.places import Look
from praval_storage.testing.conformance._looking import (
    has_delimiters,
    home,
    keys_on,
    pages,
    pages_of,
    store_numbers,
)
from praval_storage.testing.conformance._suite import Suite, needs


class TokenTests(Suite):
    """``look`` with the ``token`` of a page before."""

    @needs(CanQuery)
    def test_what_stopped_goes_on(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        store_numbers(dm, storage_type, 13)
        for where in ({}, {"nothing": "like this"}, {"n": {"$gt": 3}}):
            for order_by in (None, "-data.n", "size"):
                order = parse_order(order_by)
                look = Look(home(provider), where=parse(where), order=order, limit=5, budget=4)
                answer = list(pages_of(dm, storage_type, look))
                assert all(seen.next is not None for seen in answer if seen.stopped)
                assert all(seen.ordered or "not sorted by" in seen.note for seen in answer)
                found = keys_on(answer)
                expected = dm.query(storage_type, where, None, order_by=order_by).keys
                assert found == expected or order is None or not all(seen.ordered for seen in answer)
                assert sorted(found) == sorted(expected)

    @needs(RecordProvider, CanQuery)
    def test_writes_between_pages_do_not_move_what_they_do_not_touch(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        untouched = [f"key{n}" for n in range(40)]
        others = [f"key{n}+" for n in range(0, 40, 3)]
        dm.store_many(dict.fromkeys([*untouched, *others], 1), storage_type)
        shown: list[str] = []
        for number, seen in enumerate(pages(dm, storage_type, home(provider), limit=5)):
            shown += [row.key for row in seen.rows]
            if seen.rows and seen.rows[-1].key in others:
                dm.delete_by_key(storage_type, seen.rows[-1].key)
            dm.delete_by_key(storage_type, others[number % len(others)])
            dm.store_many(dict.fromkeys([f"key{number}-{n}" for n in range(30)], 1), storage_type)
            if number > 500:
                break
        assert sorted(key for key in shown if key in untouched) == sorted(untouched)

    @needs(RecordProvider, CanBrowse)
    def test_tokens_are_json_and_outlive_the_provider(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        store_numbers(dm, storage_type, 9)
        first = dm.look(storage_type, Look(home(provider), limit=4))
        assert first.next is not None
        json.loads(first.next)
        provider.close()
        other = DataManager({storage_type: _again(provider)})
        rest = pages(other, storage_type, home(provider), token=first.next)
        assert sorted(keys_on([first, *rest])) == sorted(f"k{n}" for n in range(9))

    @pytest.mark.parametrize("order", [None, parse_order("-key")])
    @needs(RecordProvider, CanQuery)
    def test_a_token_of_another_delimiter_is_refused(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider, order: Order | None
    ) -> None:
        if not has_delimiters(dm, storage_type, provider):
            pytest.skip("its delimiter cannot be chosen")
        dm.store_many(dict.fromkeys(["a:b/c", "a/b:c", "x", "y", "z"], 1), storage_type)
        for one, other in ((":", "/"), ("/", ":"), (None, "/"), ("/", None), ("|", ":")):
            request = Look(home(provider), order=order, limit=1, delimiter=one)
            token = dm.look(storage_type, request).next
            assert token is not None
            with pytest.raises(ConfigurationError, match="delimiter"):
                dm.look(storage_type, replace(request, delimiter=other, token=token))
            assert len(dm.look(storage_type, replace(request, token=token)).rows) <= 1

    @pytest.mark.parametrize("token", ["", "x", "{}", "[]", "[1.5]", "null", '"k"', "[[]]", "7"])
    @needs(CanQuery)
    def test_a_token_of_something_else_is_refused(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider, token: str
    ) -> None:
        dm.store(1, storage_type, "k")
        with pytest.raises(ConfigurationError):
            dm.look(storage_type, Look(home(provider), token=token))


def _again(provider: BaseStorageProvider) -> BaseStorageProvider:
    """Another provider for the same place, where one can be made."""
    try:
        other: BaseStorageProvider = pickle.loads(pickle.dumps(provider))  # noqa: S301 - our own
    except ConfigurationError:  # made with a client of the caller's
        return provider
    return other
