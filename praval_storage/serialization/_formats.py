"""Values to :class:`Content` and back: which format holds a value, and who reads it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, BinaryIO

from praval_storage.errors import SerializationError
from praval_storage.serialization._content import Content, open_path
from praval_storage.serialization._json import decode_json, encode_json, from_lines, indented, to_lines
from praval_storage.serialization._rich import family, library, whole_module
from praval_storage.serialization._suffixes import format_of_key, named_format, suffix

_MODULES = {
    **dict.fromkeys(("parquet", "csv", "tsv"), "_frames"),
    "npy": "_npy",
    **dict.fromkeys(("png", "jpeg", "gif", "webp", "tiff", "bmp"), "_images"),
}
FORMATS = ("json", "text", "bytes", "ndjson", *_MODULES, "pickle")
"""Every format by name."""

_TABLES = frozenset({"frame", "series", "arrow", "polars"})


def encode(
    data: Any,
    *,
    key: str | None = None,
    format: str | None = None,
    allow_pickle: bool = False,
    pretty: bool = False,
    pack: Container[str] = (),
) -> Content:
    """The value as a backend keeps it.

    The format is ``format`` if given; else the one the suffix of ``key`` names, if it can hold this type
    of value; else the one of the type: text for ``str``, bytes for bytes-like, Parquet for frames, series
    and tables, ``.npy`` for arrays, PNG for images, and JSON for everything else. A dict under ``a.csv``
    is therefore JSON, an array under ``a.json`` nested lists. Bytes are always bytes. A path or a binary
    file object is not read: the body is the stream, its format that of the key's or the path's suffix. A
    :class:`Content` is what it is.

    Args:
        data: What to store.
        key: Key it is going to be stored under.
        format: Format to use whatever the key says.
        allow_pickle: Pickle what nothing else can hold, and under keys that end in ``.pkl`` anything.
        pretty: Write JSON over several lines.
        pack: JSON pointers of vectors to keep as exact bytes in the side map, leaving ``null`` in the body.

    Raises:
        SerializationError: Nothing can hold the value exactly, or ``format`` cannot.
    """
    if format is not None:
        _check_known(format)
    if isinstance(data, Content):
        return _given(data, allow_pickle)
    if type(data) not in _BUILTIN and (hasattr(data, "read") or isinstance(data, Path)):
        return _stream(data, key, format)
    module = _whole(data)
    if format is not None:
        if not _fits(data, format, module, allow_pickle):
            raise _unfitting(data, format, module, allow_pickle)
        return _encoded(data, format, module, pretty, pack)
    named = "pickle" if allow_pickle and key and suffix(key) in _PICKLES else named_format(key)
    if named is not None and _fits(data, named, module, allow_pickle):
        return _encoded(data, named, module, pretty, pack)
    try:
        return _encoded(data, _default(data, module, pack), module, pretty, pack)
    except SerializationError:
        if not allow_pickle:
            raise
        return _encoded(data, "pickle", module, pretty, pack)


def decode(content: Content, *, allow_pickle: bool = False) -> Any:
    """The value of a content, by its recorded format; nothing is guessed.

    Raises:
        SerializationError: The body is not in its format, or the side map does not belong to it, or it
            is a pickle and ``allow_pickle`` is false.
    """
    _check_known(content.format)
    if content.format == "pickle" and not allow_pickle:
        raise SerializationError(
            "The data is a pickle, which runs code when it is read",
            hint="If you trust who wrote it, pass allow_pickle=True to the provider",
        )
    try:
        return _decoded(content.read(), content.format, content.types)
    except SerializationError:
        raise
    except Exception as exc:  # Decoders of other libraries raise what they like at a body that is broken.
        reason = f"The body cannot be read as {content.format}: {type(exc).__name__}: {exc}"
        raise SerializationError(reason) from exc


def foreign(key: str, body: bytes | BinaryIO, *, allow_pickle: bool = False) -> Content:
    """An object that somebody else wrote, in the format its key's suffix names.

    NDJSON reads as a list of its values, CSV and Parquet as a pandas DataFrame, an unknown suffix as
    bytes, and so does ``.pkl`` unless pickles are allowed.
    """
    format = "pickle" if allow_pickle and suffix(key) in _PICKLES else format_of_key(key)
    return Content(format, body)


_PICKLES = frozenset({"pkl", "pickle"})
_BUILTIN = frozenset({dict, list, str, bytes})
_BYTES = (bytes, bytearray, memoryview)


def _stream(data: Any, key: str | None, format: str | None) -> Content:
    # Only text files have an encoding; a temporary file is no io class, so there is no type to ask for.
    if hasattr(data, "encoding"):
        raise SerializationError("A text file object cannot be stored", hint="Open it in 'rb' mode")
    name = data if isinstance(data, Path) else getattr(data, "name", None)
    named = named_format(key) or (named_format(str(name)) if isinstance(name, (str, Path)) else None)
    body = open_path(data) if isinstance(data, Path) else data
    return Content(format or named or "bytes", body)


def _given(content: Content, allow_pickle: bool) -> Content:
    if content.format == "pickle" and not allow_pickle:
        raise _unfitting(content, "pickle", None, allow_pickle)
    return content


def _whole(data: Any) -> str | None:
    """Module of the format of its own that a value has, if it has one."""
    name = whole_module(type(data)) if type(data) not in _BUILTIN else None
    return name if name is not None and library(name).default_format(data) is not None else None


def _fits(data: Any, format: str, module: str | None, allow_pickle: bool) -> bool:
    if format == "pickle":
        return allow_pickle
    if _is_a(data, _BYTES):
        return format == "bytes"
    if module is not None:
        return format in library(module).FORMATS
    if format == "ndjson":
        return type(data) is list and all(type(item) is dict for item in data)
    if format == "text":
        return _is_a(data, str) and _is_utf8(data)
    return format == "json"


def _is_a(data: Any, kind: type | tuple[type, ...]) -> bool:
    """Whether the data is text or bytes; numpy's own subclasses are scalars, which JSON keeps apart."""
    return isinstance(data, kind) and family(type(data)) is None  # type: ignore[arg-type]  # types hash


def _default(data: Any, module: str | None, pack: Container[str]) -> str:
    if module is not None:
        chosen: str = library(module).default_format(data)
        return "json" if chosen == "npy" and "" in pack else chosen
    if _is_a(data, _BYTES):
        return "bytes"
    return "text" if _fits(data, "text", None, False) else "json"


def _encoded(data: Any, format: str, module: str | None, pretty: bool, pack: Container[str]) -> Content:
    if format == "pickle":
        return Content(format, _pickled(data))
    if format == "bytes":
        return Content(format, bytes(data), {"": "bytearray"} if isinstance(data, bytearray) else None)
    if format == "text":
        return Content(format, str.encode(data))
    if module is not None and format != "json":
        return Content(format, *library(module).encode(data, format))
    text, types = encode_json(data, pack=pack)
    if format == "ndjson":
        return Content(format, to_lines(text), types)
    return Content(format, indented(text) if pretty else text, types)


def _decoded(body: bytes, format: str, types: dict[str, Any] | None) -> Any:
    root = (types or {}).get("")
    if isinstance(root, list) and root[0] in _TABLES:
        return library("_polars" if root[0] == "polars" else "_frames").decode(body, format, types)
    if format in _MODULES:
        return library(_MODULES[format]).decode(body, format, types)
    return _PLAIN[format](body, types)


_PLAIN: dict[str, Callable[[bytes, Any], Any]] = {
    "json": decode_json,
    "ndjson": lambda body, types: decode_json(from_lines(body), types),
    "text": lambda body, _: body.decode(),
    "bytes": lambda body, types: bytearray(body) if types == {"": "bytearray"} else body,
    "pickle": lambda body, _: pickle.loads(body),  # noqa: S301  # decode() asked for permission.
}


def _pickled(data: Any) -> bytes:
    try:
        return pickle.dumps(data, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as exc:
        raise SerializationError(f"A {type(data).__name__} cannot be pickled: {exc}") from exc


def _is_utf8(text: str) -> bool:
    try:
        str.encode(text)
    except UnicodeEncodeError:
        return False
    return True


def _check_known(format: str) -> None:
    if format not in FORMATS:
        raise SerializationError(f"There is no format {format!r}", hint=f"Formats: {', '.join(FORMATS)}")


def _unfitting(data: Any, format: str, module: str | None, allow_pickle: bool) -> SerializationError:
    if format == "pickle":
        return SerializationError("A pickle runs code when it is read", hint="Pass allow_pickle=True")
    fitting = [name for name in FORMATS if _fits(data, name, module, allow_pickle)]
    return SerializationError(
        f"A {type(data).__name__} cannot be stored as {format}", hint=f"Formats for it: {', '.join(fitting)}"
    )
