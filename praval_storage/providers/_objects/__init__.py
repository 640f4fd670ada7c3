"""What providers over object stores share: a record is one object, its metadata travels with it.

``store`` says what a backend must be able to do, ``provider`` is the provider over any such store,
``listing`` answers its queries and ``browsing`` shows one folder. ``description`` is the text form of
everything about a record but its body, ``reader`` reads bodies piecewise.
"""

from praval_storage.providers._objects.provider import ObjectProvider
from praval_storage.providers._objects.store import Entry, Level, ObjectStore

__all__ = ["Entry", "Level", "ObjectProvider", "ObjectStore"]
