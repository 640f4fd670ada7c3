"""References: what a write returns names the record for good, also as a URI, as JSON and as a pickle."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from praval_storage.base import BaseStorageProvider, CanQuery, RecordProvider
from praval_storage.errors import ConfigurationError, ProviderNotRegisteredError
from praval_storage.manager import DataManager
from praval_storage.reference import DataReference
from praval_storage.testing.conformance._suite import Suite, is_recent, needs, record


class ReferenceTests(Suite):
    """``DataReference`` as the manager returns and takes it."""

    def test_a_reference_names_the_record(self, dm: DataManager, storage_type: str) -> None:
        metadata: dict[str, Any] = {"kind": "x", "tags": ["a"]}
        reference = dm.store({"n": 1}, storage_type, "a/b", metadata)
        assert (reference.storage_type, reference.key, reference.collection) == (storage_type, "a/b", None)
        assert reference.metadata == metadata
        metadata["kind"] = "changed"
        assert reference.metadata["kind"] == "x"
        assert reference == DataReference(storage_type, "a/b")
        assert hash(reference) == hash(DataReference(storage_type, "a/b"))

    @needs(RecordProvider)
    def test_a_reference_says_what_was_written(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        reference = dm.store("text of 19 bytes \u00fc\u00fc"[:18], storage_type, "k")
        kept = record(provider, "k")
        assert is_recent(reference.created_at)
        assert reference.created_at == kept.created_at
        assert reference.format == kept.format == "text"
        assert reference.size == kept.size == len("text of 19 bytes \u00fc".encode())
        assert reference.version == kept.version

    @needs(RecordProvider)
    def test_the_version_changes_when_the_record_does(self, dm: DataManager, storage_type: str) -> None:
        versions = [dm.store({"n": n}, storage_type, "k").version for n in range(3)]
        assert versions[0] is None or len(set(versions)) == 3

    def test_its_uri_does_as_well(self, dm: DataManager, storage_type: str) -> None:
        uri = dm.store({"n": 1}, storage_type, "folder/a b?c#d%20").uri
        assert dm.retrieve(uri) == {"n": 1}
        assert dm.exists(uri)
        assert dm.retrieve_many([uri]).values == [{"n": 1}]
        assert dm.retrieve(dm.copy(uri, storage_type, key="copy").uri) == {"n": 1}
        assert dm.retrieve(dm.move(uri, storage_type, key="moved").uri) == {"n": 1}
        assert dm.delete(uri) is False

    def test_json_and_pickles_of_it_do_as_well(self, dm: DataManager, storage_type: str) -> None:
        reference = dm.store({"n": 1}, storage_type, "k", {"kind": "x"})
        for again in (
            pickle.loads(pickle.dumps(reference)),  # noqa: S301 - our own
            DataReference.from_dict(json.loads(json.dumps(reference.to_dict()))),
        ):
            assert again == reference
            assert again.metadata == {"kind": "x"}
            assert again.created_at == reference.created_at
            assert dm.retrieve(again) == {"n": 1}

    def test_a_reference_inside_a_record_leads_on(self, dm: DataManager, storage_type: str) -> None:
        there = dm.store({"n": 1}, storage_type, "there")
        found = dm.retrieve(dm.store({"see": there, "all": [there]}, storage_type, "here"))
        assert found == {"see": there.uri, "all": [there.uri]}
        assert dm.retrieve(found["see"]) == {"n": 1}

    @needs(RecordProvider, CanQuery)
    def test_a_reference_is_metadata_and_an_operand(self, dm: DataManager, storage_type: str) -> None:
        there = dm.store({"n": 1}, storage_type, "there")
        dm.store(2, storage_type, "here", {"source": there})
        for operand in (there, there.uri):
            assert dm.query(storage_type, {"metadata.source": operand}).keys == ["here"]

    def test_an_unknown_storage_type_is_named_with_the_known_ones(
        self, dm: DataManager, storage_type: str
    ) -> None:
        with pytest.raises(ProviderNotRegisteredError, match=f"'nowhere' not registered.*{storage_type}"):
            dm.retrieve(DataReference("nowhere", "k"))

    @pytest.mark.parametrize("reference", [None, 7, b"praval://a/b", ("under test", "k")])
    def test_what_is_no_reference_is_refused(self, dm: DataManager, reference: Any) -> None:
        with pytest.raises(ConfigurationError, match=f"not {type(reference).__name__}"):
            dm.retrieve(reference)

    def test_a_bare_key_is_no_uri(self, dm: DataManager) -> None:
        with pytest.raises(ConfigurationError, match=r"'k' is not a reference URI.*praval://"):
            dm.retrieve("k")
