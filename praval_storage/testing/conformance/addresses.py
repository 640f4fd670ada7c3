"""What an address lists: ``praval://<storage type>/<beginning of keys>``, and that of a single record."""

from __future__ import annotations

import pytest

from praval_storage.base import BaseStorageProvider, CanBrowse, CanQuery, RecordProvider
from praval_storage.manager import DataManager
from praval_storage.reference import DataReference
from praval_storage.testing.conformance._suite import Suite, needs

REPORTS = {"rep/a": 1, "rep/b": 2, "rep/c?d%": 3}
OTHERS = {"rep": 4, "report": 5, "other/rep/a": 6}


class AddressTests(Suite):
    """``ls`` of addresses, and what is completed."""

    @needs(RecordProvider, CanQuery)
    def test_an_address_lists_the_keys_that_begin_so(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        dm.store_many(REPORTS | OTHERS, storage_type).raise_for_errors()
        for listed in (dm.ls(f"praval://{storage_type}/rep/"), dm[storage_type].ls("rep/")):
            assert sorted(reference.key for reference in listed.references) == sorted(REPORTS)
            assert listed.places == []
        listed = dm.ls(f"praval://{storage_type}/rep/", text="A", filters={"size": {"$gt": 0}})
        assert [reference.key for reference in listed.references] == ["rep/a"]
        assert len(dm[storage_type].tree("rep/").root.inner) == len(REPORTS)
        assert list(dm.ls(f"praval://{storage_type}/no/")) == []

    @needs(RecordProvider, CanQuery)
    def test_all_pages_of_an_address_are_of_it(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        dm.store_many(REPORTS | OTHERS, storage_type).raise_for_errors()
        page, keys = dm.ls(f"praval://{storage_type}/rep/", limit=1), []
        while True:
            keys += [reference.key for reference in page.references]
            if page.next is None:
                break
            page = page.more()
        assert sorted(keys) == sorted(REPORTS)

    @needs(RecordProvider, CanQuery)
    def test_the_address_of_a_record_lists_it(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        dm.store_many(REPORTS | OTHERS | {"rep/ab": 1}, storage_type).raise_for_errors()
        for key in (*REPORTS, "report", "other/rep/a"):
            [listed] = dm.ls(DataReference(storage_type, key).uri).references
            assert (listed.key, dm.retrieve(listed)) == (key, (REPORTS | OTHERS)[key])
        assert list(dm.ls(f"praval://{storage_type}/rep/a", filters={"format": "csv"})) == []
        assert list(dm.ls(f"praval://{storage_type}/rep/a", text="b")) == []
        assert list(dm.ls(f"praval://{storage_type}/rep/x")) == []

    @needs(CanBrowse)
    def test_a_path_to_keys_is_the_way_back_to_them(self, provider: BaseStorageProvider) -> None:
        assert isinstance(provider, CanBrowse)
        path = provider.place_of("rep/a")
        assert provider.place_of("") == provider.home()
        assert path is None or provider.key_at(path) == (None, "rep/a")

    @pytest.mark.parametrize("typed", ["zz/", "zz/a", "z"])
    @needs(RecordProvider, CanQuery)
    def test_what_is_typed_leads_on_to_a_key_behind_many_others(
        self, dm: DataManager, storage_type: str, monkeypatch: pytest.MonkeyPatch, typed: str
    ) -> None:
        dm.store_many({f"k{n:03}": n for n in range(150)}, storage_type).raise_for_errors()
        dm.store_many({f"aa/{n:03}": n for n in range(150)} | {"zz/a": 1}, storage_type).raise_for_errors()
        shown = dm[storage_type]._ipython_key_completions_()
        assert len(shown) == 100
        assert {"aa/", "zz/"} <= set(shown)
        monkeypatch.setattr("praval_storage.looking.view._typed", lambda: typed)
        [led] = [name for name in dm[storage_type]._ipython_key_completions_() if name.startswith(typed)]
        assert "zz/a".startswith(led)
