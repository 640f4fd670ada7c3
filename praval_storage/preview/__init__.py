"""Looking at a record without retrieving it: what it is, its beginning, and nothing of it is ever run."""

from praval_storage.preview.formats import check_format
from praval_storage.preview.looking import preview
from praval_storage.preview.view import Preview

__all__ = ["Preview", "check_format", "preview"]
