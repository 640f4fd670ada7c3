"""A body as somebody wants to see it, whatever it was stored as: as text, JSON, hex or numbers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from praval_storage.display import printable
from praval_storage.errors import ConfigurationError, SerializationError, StorageError
from praval_storage.preview import arrays, binary, documents, texts
from praval_storage.preview.beginning import Beginning
from praval_storage.preview.seen import REASON, Reader, Seen


class Format(NamedTuple):
    """A way to see a body: its name in a list to choose from, what such a body is, and what reads it."""

    label: str
    noun: str
    read: Reader


def _text(found: Beginning) -> Seen:
    try:
        return texts.passage(found)
    except UnicodeDecodeError:
        return texts.single_bytes(found)


def _json(found: Beginning) -> Seen:
    """What the JSON itself says: without the side map that tells the types of what was stored here."""
    return documents.json(replace(found, stored=found.stored._replace(format="json", types=None)))


FORMATS = {
    "text": Format("text", "text", _text),
    "json": Format("JSON", "JSON", _json),
    "hex": Format("hex", "bytes", binary.dump),
    **{
        name: Format(f"vector of {name}", f"a vector of {name}", partial(arrays.numbers, dtype=dtype))
        for name, dtype in (("float32", "<f4"), ("float64", "<f8"))
    },
}
"""By the name that ``dm.preview(as_=...)`` takes."""


def labels() -> dict[str, str]:
    """What to choose from: the name of each format, and how it is called."""
    return {name: format.label for name, format in FORMATS.items()}


def check_format(name: object) -> None:
    """Nothing if a body can be asked for in this format.

    Raises:
        ConfigurationError: There is no such format.
    """
    if name not in [*FORMATS]:
        raise ConfigurationError(
            f"A body is shown as one of {', '.join(FORMATS)}, not as {printable(repr(name), 60)}"
        )


def in_format(found: Beginning, name: str) -> Seen:
    """A body in this format; as hex where it is none such, with the reason."""
    chosen = FORMATS[name]
    try:
        return chosen.read(found)
    except SerializationError as error:
        reason = str(error).removeprefix("The body is not JSON: ")
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library raises at a body that is something else
        reason = str(error) or type(error).__name__
    return binary.dump(found).noting(f"not {chosen.noun}: {printable(reason, REASON)}; shown as hex")
