"""What the readers of the kinds hand over, and how a failing one is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from praval_storage.display import printable
from praval_storage.errors import SerializationError, StorageError
from praval_storage.preview.beginning import Beginning, BudgetError
from praval_storage.preview.parts import Part

REASON = 300
"""Letters of a reason: libraries quote what they could not read."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to see of a body or a value.

    Attributes:
        kind: See ``Preview.kind``.
        facts: Name to text.
        notes: What is not shown, and why.
        parts: What to show.
        vector: The numbers by which neighbours can be found.
    """

    kind: str
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    parts: Sequence[Part] = ()
    vector: Any = None

    def noting(self, *notes: str) -> Seen:
        """The same with more to be said."""
        return replace(self, notes=[*notes, *self.notes])


Reader = Callable[[Beginning], Seen]


def first_of(found: Beginning, *readers: Reader) -> Seen:
    """What the first reader sees that can make sense of a body, and why those before it could not."""
    notes: list[str] = []
    for reader in readers[:-1]:
        try:
            return reader(found).noting(*notes)
        except BudgetError:
            notes.append("Too large to be looked into; its beginning follows")
        except SerializationError as error:
            notes.append(printable(str(error), REASON))
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - libraries raise what they like at a body that is broken
            notes.append(broken(error, found.stored.format))
    return readers[-1](found).noting(*notes)


def broken(error: Exception, format: str) -> str:
    """Why a body cannot be read."""
    return printable(f"It cannot be read as {format}: {type(error).__name__}: {error}", REASON)
