"""Which format the suffix of a key names."""

from __future__ import annotations

_TEXT = "txt md rst py log yaml yml toml ini cfg conf env html htm css js ts xml svg sql sh tex r"
_SUFFIXES = {
    **dict.fromkeys(_TEXT.split(), "text"),
    **dict.fromkeys(("json", "geojson", "ipynb"), "json"),
    **dict.fromkeys(("ndjson", "jsonl"), "ndjson"),
    **dict.fromkeys(("parquet", "pq"), "parquet"),
    **dict.fromkeys(("jpg", "jpeg"), "jpeg"),
    **dict.fromkeys(("tif", "tiff"), "tiff"),
    **{name: name for name in ("csv", "tsv", "npy", "png", "gif", "webp", "bmp")},
}


def suffix(key: str) -> str:
    """Last suffix of the key's last segment, lower case and without the dot; ``""`` when there is none."""
    _, dot, last = key.rpartition("/")[2].rpartition(".")
    return last.lower() if dot else ""


def format_of_key(key: str) -> str:
    """Format of an object nobody recorded a format for; ``"bytes"`` when the suffix is not known."""
    return _SUFFIXES.get(suffix(key), "bytes")


def named_format(key: str | None) -> str | None:
    """Format the suffix of a key asks for, if it is a known one."""
    return _SUFFIXES.get(suffix(key)) if key else None
