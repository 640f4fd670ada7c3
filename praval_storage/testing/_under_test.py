"""What ``check_provider`` has pytest collect: the suite on the provider that it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from praval_storage.testing.checking import MAKE
from praval_storage.testing.conformance import ProviderConformance


class TestProvider(ProviderConformance):
    """The suite on whatever provider it is; what it does not claim is skipped."""

    @pytest.fixture
    def provider(self, request: pytest.FixtureRequest, tmp_path: Path) -> Any:  # its class is not known here
        """A fresh one in a folder of its own."""
        return request.config.stash[MAKE](tmp_path)
