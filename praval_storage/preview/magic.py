"""What the first bytes say a file is; only said, never acted upon."""

from __future__ import annotations

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", "gzip"),
    (0, b"PK\x03\x04", "zip (also docx, xlsx, jar, npz)"),
    (0, b"PK\x05\x06", "zip, empty"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"\x04\x22\x4d\x18", "lz4"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (257, b"ustar", "tar"),
    (0, b"PAR1", "parquet"),
    (0, b"ARROW1", "arrow (feather)"),
    (0, b"ORC", "orc"),
    (0, b"Obj\x01", "avro"),
    (0, b"\x93NUMPY", "npy"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5 (also netCDF 4)"),
    (0, b"CDF", "netCDF"),
    (0, b"SQLite format 3\0", "sqlite"),
    (8, b"DUCK", "duckdb"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"GIF8", "gif"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (8, b"WEBP", "webp"),
    (8, b"WAVE", "wav"),
    (4, b"ftyp", "mp4 (also mov, heic, avif)"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (0, b"fLaC", "flac"),
    (0, b"%PDF-", "pdf"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Microsoft Office, before 2007"),
    (0, b"\x7fELF", "ELF program"),
    (0, b"MZ", "Windows program"),
    (0, b"\0asm", "WebAssembly"),
    (0, b"GGUF", "gguf (a language model)"),
)
_PICKLES = range(2, 6)


def recognised(body: bytes) -> str | None:
    """The name of what begins like this; ``None`` when it is not known."""
    if len(body) > 2 and body[0] == 0x80 and body[1] in _PICKLES:
        return f"pickle, protocol {body[1]}"
    found = (name for place, mark, name in _SIGNATURES if body[place : place + len(mark)] == mark)
    return next(found, None)
