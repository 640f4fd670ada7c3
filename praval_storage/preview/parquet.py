"""Parquet files: what the footer says, and the first rows where that takes little reading."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from praval_storage.display import counted, printable, size_text
from praval_storage.preview.beginning import Beginning, BudgetError
from praval_storage.preview.grid import Column, Grid, type_name
from praval_storage.preview.seen import Seen
from praval_storage.preview.tables import WIDEST, arrow_rows, needing

LARGEST_GROUP = 1 << 30
"""Bytes of an uncompressed row group whose first rows are still looked for."""
_BUFFER = 256 << 10
"""Bytes of one range: smaller ones would be many, and each takes a round trip."""


def footer(found: Beginning) -> Seen:
    """A Parquet file."""
    needing("pyarrow")
    reader = import_module("pyarrow.parquet")
    with found.open() as window, reader.ParquetFile(window, buffer_size=_BUFFER, pre_buffer=False) as file:
        facts = _facts(file.metadata)
        columns = _columns(file)
        height, width = file.metadata.num_rows, len(file.schema_arrow)
        try:
            rows = _rows(file, found.scope.rows)
        except BudgetError:
            note = "Only the footer was read: the first rows would take too much reading"
            return Seen("table", facts, [note], [Grid(columns, (), height, width)])
    return Seen("table", facts, (), [Grid(columns, rows, height, width)])


def _facts(metadata: Any) -> dict[str, str]:
    groups = [metadata.row_group(place) for place in range(min(metadata.num_row_groups, WIDEST))]
    chunks = [group.column(0) for group in groups if group.num_columns]
    compressions = sorted({chunk.compression for chunk in chunks})
    return {
        "rows": f"{metadata.num_rows:,}".replace(",", " "),
        "row groups": counted(metadata.num_row_groups, "group").removesuffix("s").removesuffix(" group"),
        "columns": str(metadata.num_columns),
        "compression": ", ".join(compressions) or "-",
        "uncompressed": size_text(sum(group.total_byte_size for group in groups)),
        "written by": metadata.created_by or "-",
    }


def _columns(file: Any) -> list[Column]:
    nulls = _nulls(file.metadata)
    return [
        Column(printable(field.name), type_name(field.type), nulls.get(field.name))
        for field in list(file.schema_arrow)[:WIDEST]
    ]


def _nulls(metadata: Any) -> dict[str, int]:
    """Nulls of the flat columns, where all of the file's statistics have them."""
    found: dict[str, int] = {}
    for place in range(min(metadata.num_columns, WIDEST)):
        path, kind = metadata.schema.column(place).path, metadata.schema.column(place).physical_type
        chunks = [metadata.row_group(group).column(place) for group in range(metadata.num_row_groups)]
        # Asked for the statistics of a chunk of another type, pyarrow ends the process.
        if any(chunk.physical_type != kind for chunk in chunks):
            continue
        statistics = [chunk.statistics for chunk in chunks]
        if all(each is not None and each.has_null_count for each in statistics):
            found[path] = sum(each.null_count for each in statistics)
    return found


def _rows(file: Any, count: int) -> Any:
    if not file.metadata.num_rows:
        return ()
    if file.metadata.row_group(0).total_byte_size > LARGEST_GROUP:
        raise BudgetError
    names = [field.name for field in list(file.schema_arrow)[:WIDEST]]
    batch = next(file.iter_batches(batch_size=count, columns=names, use_threads=False))
    return arrow_rows(batch, count)
