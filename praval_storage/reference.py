"""``DataReference``: the name of one stored record."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from praval_storage.cells import in_cells
from praval_storage.display import Table, as_html, code, facts, folded, printable, size_text, time_text
from praval_storage.errors import ConfigurationError

SCHEME = "praval"


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class DataReference(str):
    """The name of one record: its URI, a ``str``, and what was known of it when the reference was made.

    References are equal, and hash alike, when they name the same record: same storage type, collection and
    key. They never carry a credential. Where only text can go (JSON, a message between agents, a column of
    a table) the URI goes, and everything that takes a reference also takes that; :meth:`to_dict` keeps what
    else is known.

    Args:
        storage_type: Name the provider is registered under.
        key: Key of the record.
        metadata: The user's metadata, a copy.
        created_at: First write of the key, aware UTC; ``None`` when the backend cannot tell.
        size: Size of the stored body in bytes, where known.
        format: Stored format of the data (``"json"``, ``"parquet"``, ...), where known.
        version: ETag, digest or row version, where the backend has one.
        collection: Directory, table, prefix or collection when it is not the provider's own.
    """

    storage_type: str
    key: str
    metadata: dict[str, Any]
    created_at: datetime | None
    size: int | None
    format: str | None  # type: ignore[assignment]  # of the data; the method of str is of no use here
    version: str | None
    collection: str | None

    def __new__(
        cls,
        storage_type: str,
        key: str,
        metadata: dict[str, Any] | None = None,
        created_at: datetime | None = None,
        size: int | None = None,
        format: str | None = None,
        version: str | None = None,
        collection: str | None = None,
    ) -> Self:
        """A reference; nothing is checked before it is used."""
        self = str.__new__(cls, _uri(storage_type, key, collection))
        copied = _own(metadata) if metadata else {}
        known = (storage_type, key, copied, created_at, size, format, version, collection)
        for name, value in zip(_FIELDS, known, strict=True):
            object.__setattr__(self, name, value)
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in _FIELDS)

    @property
    def uri(self) -> str:
        """``praval://<storage type>/<key>``, percent-encoded (RFC 3986); all of :meth:`from_uri`'s input."""
        return str(self)

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """The reference a URI names.

        Raises:
            ConfigurationError: The text is not a ``praval://`` URI.
        """
        try:
            parts = urlsplit(uri)
        except ValueError:  # no legal host: an open bracket, or what Unicode turns into a slash
            parts = urlsplit("")
        if parts.scheme != SCHEME or not parts.netloc or len(parts.path) < 2:
            raise ConfigurationError(
                f"{uri!r} is not a reference URI",
                hint=f"Use {SCHEME}://<storage type>/<key>, for example {SCHEME}://filesystem/user_alice",
            )
        collection = parse_qs(parts.query).get("collection")
        return cls(
            # urlsplit keeps the case of netloc; only .hostname lowers it.
            unquote(parts.netloc),
            unquote(parts.path[1:]),
            collection=collection[0] if collection else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """The reference as JSON values; ``DataReference.from_dict`` reads it back."""
        return {
            "uri": self.uri,
            "metadata": self.metadata,
            "created_at": self.created_at and self.created_at.isoformat(),
            "size": self.size,
            "format": self.format,
            "version": self.version,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The reference that :meth:`to_dict` wrote."""
        name = cls.from_uri(values["uri"])
        created_at = values.get("created_at")
        return cls(
            name.storage_type,
            name.key,
            metadata=values.get("metadata"),
            created_at=datetime.fromisoformat(created_at) if created_at else None,
            size=values.get("size"),
            format=values.get("format"),
            version=values.get("version"),
            collection=name.collection,
        )

    def __repr__(self) -> str:
        return f"DataReference.from_uri({self.uri!r})"

    def __dir__(self) -> list[str]:
        # What helps with a reference; the methods it has as a str would only bury that.
        return [name for name in object.__dir__(self) if name in _FIELDS or not hasattr(str, name)]

    def _repr_html_(self) -> str:
        return as_html(self._table()) + self._details()

    def _table(self) -> Table:
        row = (self.format or "-", size_text(self.size), time_text(self.created_at), self.version or "-")
        header = ("format", "size", "created", "version")
        return Table(f"{type(self).__name__} {printable(self.uri, 200)}", header, [[*map(printable, row)]], 0)

    def _details(self) -> str:
        metadata = folded(f"metadata ({len(self.metadata)})", as_html(facts("", in_cells(self.metadata))))
        snippet = folded("code", code(f"dm.retrieve({self.uri!r})"))
        return (metadata if self.metadata else "") + snippet


_FIELDS = tuple(each.name for each in fields(DataReference))
_LEAVES = frozenset({str, int, float, bool, type(None), datetime})


def _own(value: Any) -> Any:
    """A copy that shares no dict, list or set with the original."""
    if isinstance(value, dict):
        return {name: item if type(item) in _LEAVES else _own(item) for name, item in value.items()}
    if isinstance(value, list):
        return [item if type(item) in _LEAVES else _own(item) for item in value]
    if type(value) is tuple:
        return tuple(map(_own, value))
    return set(value) if isinstance(value, set) else value


def _uri(storage_type: str, key: str, collection: str | None) -> str:
    uri = f"{SCHEME}://{_quoted(storage_type)}/{_quoted(key, '/')}"
    return uri if collection is None else f"{uri}?collection={_quoted(collection)}"


def _quoted(text: object, safe: str = "") -> str:
    # What is no legal name is refused where it is used, with a reason.
    return quote(str(text), safe, errors="surrogatepass")
