"""From a record to its preview: which reader a format has, what is known besides, what is near."""

from __future__ import annotations

from dataclasses import replace

from praval_storage.cells import bare
from praval_storage.display import size_text, time_text
from praval_storage.preview import arrays, binary, documents, images, parquet, pickles, tables, texts
from praval_storage.preview.beginning import IN_FULL, Beginning, Scope, read
from praval_storage.preview.formats import check_format, in_format, labels
from praval_storage.preview.near import with_neighbours
from praval_storage.preview.seen import Reader, Seen, first_of
from praval_storage.preview.view import Preview
from praval_storage.provider_set import ProviderSet
from praval_storage.records import MISSING, Stored
from praval_storage.reference import DataReference
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


def preview(
    providers: ProviderSet, name: DataReference, neighbours: int, *, in_full: bool, as_: str | None = None
) -> Preview:
    """See ``DataManager.preview``."""
    if as_ is not None:
        check_format(as_)
        neighbours = 0
    provider = providers.find(name.storage_type, name.collection)
    scope = IN_FULL if in_full else Scope()

    def work() -> tuple[Stored, Seen, bool]:
        found = read(provider, name.key, scope)
        stored = found.stored if isinstance(found, Beginning) else found
        body = _body(found, scope)
        # A body of no size is none that is kept: the provider made it of a hash, or of fields.
        is_kept = body is not None and (stored.size is not None or stored.data is not MISSING)
        return stored, _seen(body or stored, scope, as_ if is_kept else None), is_kept

    stored, seen, has_body = providers.call(name.storage_type, "preview", name.key, work)
    if neighbours > 0:
        seen = with_neighbours(providers, provider, name, seen, neighbours)
    if as_ and seen.parts and not has_body:
        seen = seen.noting("It has no body, so it is shown as what it is")
    made = _made(name, stored, seen)
    return replace(made, formats=labels(), as_=as_ or "") if has_body else made


def _seen(found: Beginning | Stored, scope: Scope, as_: str | None) -> Seen:
    if isinstance(found, Stored):
        return _without_body(found, scope)
    return in_format(found, as_) if as_ else first_of(found, *_readers(found.stored), binary.dump)


def _body(found: Beginning | Stored, scope: Scope) -> Beginning | None:
    """The body, also of a value that is one; ``None`` where there is none."""
    if isinstance(found, Beginning):
        return found
    if isinstance(found.data, str):
        return _as_body(found, "text", found.data.encode(errors="backslashreplace"), scope)
    if isinstance(found.data, (bytes, bytearray)):
        return _as_body(found, "bytes", bytes(found.data), scope)
    return None


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
