"""The conformance suite: what every provider promises, as tests that run against any one of them."""

from __future__ import annotations

import pytest

# Before the modules are imported, so that their assertions show values.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            *("_looking", "_suite", "addresses", "batches", "browsing", "collections", "concurrency"),
            *("expiry", "foreign"),
            *("keys", "limits", "operators", "ordering", "previews", "provider", "references", "search"),
            *("selecting", "streaming", "tokens", "transactions", "unreadable", "values", "writing"),
        )
    )
)

from praval_storage.testing.conformance.addresses import AddressTests  # noqa: E402
from praval_storage.testing.conformance.batches import BatchTests  # noqa: E402
from praval_storage.testing.conformance.browsing import BrowsingTests  # noqa: E402
from praval_storage.testing.conformance.collections import CollectionTests  # noqa: E402
from praval_storage.testing.conformance.concurrency import ConcurrencyTests  # noqa: E402
from praval_storage.testing.conformance.expiry import ExpiryTests  # noqa: E402
from praval_storage.testing.conformance.foreign import ForeignTests  # noqa: E402
from praval_storage.testing.conformance.keys import KeyTests  # noqa: E402
from praval_storage.testing.conformance.limits import LimitTests  # noqa: E402
from praval_storage.testing.conformance.operators import OperatorTests  # noqa: E402
from praval_storage.testing.conformance.ordering import OrderTests  # noqa: E402
from praval_storage.testing.conformance.previews import PreviewTests  # noqa: E402
from praval_storage.testing.conformance.provider import ProviderTests  # noqa: E402
from praval_storage.testing.conformance.references import ReferenceTests  # noqa: E402
from praval_storage.testing.conformance.search import SearchTests  # noqa: E402
from praval_storage.testing.conformance.selecting import SelectingTests  # noqa: E402
from praval_storage.testing.conformance.streaming import StreamingTests  # noqa: E402
from praval_storage.testing.conformance.tokens import TokenTests  # noqa: E402
from praval_storage.testing.conformance.transactions import TransactionTests  # noqa: E402
from praval_storage.testing.conformance.unreadable import UnreadableTests  # noqa: E402
from praval_storage.testing.conformance.values import ValueTests  # noqa: E402
from praval_storage.testing.conformance.writing import WritingTests  # noqa: E402

__all__ = ["ProviderConformance"]


class ProviderConformance(
    ValueTests,
    KeyTests,
    WritingTests,
    BatchTests,
    ExpiryTests,
    OperatorTests,
    OrderTests,
    LimitTests,
    SearchTests,
    PreviewTests,
    ReferenceTests,
    StreamingTests,
    CollectionTests,
    BrowsingTests,
    AddressTests,
    SelectingTests,
    UnreadableTests,
    TokenTests,
    ForeignTests,
    ConcurrencyTests,
    TransactionTests,
    ProviderTests,
):
    """Every promise of the provider contract. Subclass it and define one fixture, ``provider``.

    ``provider`` returns a fresh, empty provider each time; it is closed afterwards. What is tested follows
    from its base classes alone: a capability it has is tested, and one it lacks must be refused with
    ``UnsupportedOperationError``. Annotate the fixture with your class and the tests that do not apply are
    not collected; without the annotation they are skipped. A provider that searches must take vectors of
    four dimensions under the name ``vector``.

    Override :meth:`write_foreign` when others can write to the same backend, and ``separator`` where places
    are made by something else than a slash.
    """
