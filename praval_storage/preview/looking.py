"""From a record to its preview: which reader a format has, what is known besides, what is near."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from praval_storage.base import CanSearch, HasVectors
from praval_storage.cells import bare
from praval_storage.display import printable, size_text, time_text
from praval_storage.errors import StorageError
from praval_storage.filters import EVERYTHING
from praval_storage.preview import arrays, binary, documents, images, parquet, pickles, tables, texts
from praval_storage.preview.beginning import IN_FULL, Beginning, Scope, read
from praval_storage.preview.parts import Nearest, Neighbour
from praval_storage.preview.seen import REASON, Reader, Seen, first_of
from praval_storage.preview.view import Preview
from praval_storage.provider_set import ProviderSet
from praval_storage.records import MISSING, Stored
from praval_storage.reference import DataReference
from praval_storage.scan import search
from praval_storage.serialization import decode_metadata, suffix

_TEXT = (texts.passage, texts.single_bytes)
_IMAGES = ("png", "jpeg", "gif", "webp", "tiff", "bmp")
_READERS: dict[str, tuple[Reader, ...]] = {
    "json": (documents.json, *_TEXT),
    **dict.fromkeys(("ndjson", "csv", "tsv"), (tables.text_table, *_TEXT)),
    "text": _TEXT,
    "parquet": (parquet.footer,),
    "npy": (arrays.npy,),
    **dict.fromkeys(_IMAGES, (images.picture,)),
    "pickle": (pickles.opcodes,),
}
_BY_SUFFIX: dict[str, tuple[Reader, ...]] = {
    "svg": (images.svg, *_TEXT),
    "pkl": (pickles.opcodes,),
    "pickle": (pickles.opcodes,),
}


_KINDS = {**dict.fromkeys(("ndjson", "csv", "tsv", "parquet"), "table"), "npy": "array", "object": "json"}


def preview(providers: ProviderSet, name: DataReference, neighbours: int, *, in_full: bool) -> Preview:
    """See ``DataManager.preview``."""
    provider = providers.find(name.storage_type, name.collection)
    scope = IN_FULL if in_full else Scope()

    def work() -> tuple[Stored, Seen]:
        found = read(provider, name.key, scope)
        stored = found.stored if isinstance(found, Beginning) else found
        return stored, _seen(found, scope)

    stored, seen = providers.call(name.storage_type, "preview", name.key, work)
    if seen.vector is None and neighbours > 0 and isinstance(provider, HasVectors):
        [numbers] = providers.call(
            name.storage_type, "preview", name.key, lambda: provider.vectors_of([name.key])
        )
        seen = documents.with_vector(seen, numbers)
    if seen.vector is not None and neighbours > 0 and isinstance(provider, CanSearch):
        seen = _with_neighbours(providers, provider, name, seen, neighbours)
    return _made(name, stored, seen)


def _seen(found: Beginning | Stored, scope: Scope) -> Seen:
    if isinstance(found, Beginning):
        return first_of(found, *_readers(found.stored), binary.dump)
    if isinstance(found.data, str):
        return _seen(_as_body(found, "text", found.data.encode(errors="backslashreplace"), scope), scope)
    if isinstance(found.data, (bytes, bytearray)):
        return _seen(_as_body(found, "bytes", bytes(found.data), scope), scope)
    return _without_body(found, scope)


def _as_body(stored: Stored, format: str, body: bytes, scope: Scope) -> Beginning:
    whole = stored._replace(format=format, body=body)
    return Beginning(whole, body[: scope.body], len(body), scope)


def _readers(stored: Stored) -> tuple[Reader, ...]:
    by_suffix = _BY_SUFFIX.get(suffix(stored.key)) if stored.format in {"text", "bytes"} else None
    return by_suffix or _READERS.get(stored.format, ())


def _without_body(stored: Stored, scope: Scope) -> Seen:
    if stored.data is not MISSING:
        return documents.value(stored.data, scope)
    kind = "image" if stored.format in _IMAGES else _KINDS.get(stored.format, stored.format)
    size = size_text(stored.size)
    return Seen(
        kind, {}, [f"Not looked into: this provider hands out whole bodies only, and this has {size}"]
    )


def _with_neighbours(
    providers: ProviderSet, provider: CanSearch, name: DataReference, seen: Seen, count: int
) -> Seen:
    def work() -> list[Neighbour]:
        # One more, because the record is near itself.
        found = search(provider, seen.vector, EVERYTHING, count + 1, datetime.now(UTC)).rows
        others = [row for row in found if row.stored.key != name.key]
        return [
            Neighbour(replace(name, key=row.stored.key).uri, row.stored.key, row.score)
            for row in others[:count]
        ]

    try:
        items = providers.call(name.storage_type, "search", None, work)
    except StorageError as error:
        return seen.noting(printable(f"No neighbours: {error}", REASON))
    return replace(seen, parts=[*seen.parts, Nearest(items, provider.metric)])


def _made(name: DataReference, stored: Stored, seen: Seen) -> Preview:
    reference = replace(
        name,
        metadata=decode_metadata(stored.metadata),
        created_at=stored.created_at,
        size=stored.size,
        format=stored.format,
        version=stored.version,
    )
    size = "" if stored.size is None else f", {size_text(stored.size)}"
    known = {
        "format": stored.format,
        **seen.facts,
        "updated": time_text(stored.updated_at),
        "expires": time_text(stored.expires_at),
        "metadata": ", ".join(f"{key}={bare(field).text}" for key, field in reference.metadata.items()),
    }
    facts = {fact: text for fact, text in known.items() if text not in {"", "-"}}
    return Preview(reference, seen.kind, f"{seen.kind}{size}", facts, tuple(seen.notes), tuple(seen.parts))
