"""How the columns of a new file are encoded: values that repeat as a dictionary, others plainly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from drls_dagster.maintenance.compact.keys import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAMPLE_ROWS = 20_000
# A dictionary of more than this share of the rows is larger than what it saves.
_MOST_DISTINCT = 0.25
_DICTIONARY_BYTES = 2 << 20


def writer_options(properties: Mapping[str, str], rows: pa.Table) -> dict[str, Any]:
    """What the table's properties say, with dictionaries for the columns whose values repeat in `rows`."""
    codec = properties.get("write.parquet.compression-codec", "zstd")
    level = properties.get("write.parquet.compression-level")
    most = int_property(properties, "write.parquet.dict-size-bytes", _DICTIONARY_BYTES)
    return {
        "compression": "none" if codec == "uncompressed" else codec,
        "compression_level": int(level) if level and level.lstrip("-").isdecimal() else None,
        "data_page_size": int_property(properties, "write.parquet.page-size-bytes", 1 << 20),
        "dictionary_pagesize_limit": most,
        "use_dictionary": _with_dictionary(rows, most),
        "write_batch_size": int_property(properties, "write.parquet.page-row-limit", 20_000),
    }


def int_property(properties: Mapping[str, str], name: str, default: int) -> int:
    said = properties.get(name, "")
    return int(said) if said.isdecimal() and int(said) > 0 else default


def _with_dictionary(rows: pa.Table, most: int) -> bool | list[str]:
    """Paths of the columns with dictionaries; True for all of them.

    The writer itself gives a dictionary up when it is full, which costs as much again as the column without one.
    """
    if rows.num_rows < 2 * _SAMPLE_ROWS:
        return True
    places = pa.array(np.arange(0, rows.num_rows, rows.num_rows // _SAMPLE_ROWS))
    without = {
        field.name for at, field in enumerate(rows.schema) if not _repeats(rows.column(at), places, rows.num_rows, most)
    }
    return [one for one in _paths(rows.schema) if one not in without] if without else True


def _repeats(column: pa.ChunkedArray, places: pa.Array, rows: int, most: int) -> bool:
    """Whether a dictionary of the column is likely to stay small, both against the rows and in bytes."""
    if pa.types.is_dictionary(column.type) or pa.types.is_nested(column.type) or pa.types.is_boolean(column.type):
        return True
    sample = plain(column).take(places).drop_null()
    if not len(sample):
        return True
    fixed = pa.types.is_primitive(sample.type) or pa.types.is_decimal(sample.type)
    width = min(8, sample.type.bit_width // 8) if fixed else sample.nbytes / len(sample)
    entries = max(1.0, min(_MOST_DISTINCT * rows, most / max(1.0, width)))
    # So many different values are expected in a sample of a column that has `entries` of them, equally often.
    expected = entries * -math.expm1(-len(sample) / entries)
    return int(pc.count_distinct(sample).as_py()) <= expected  # pyright: ignore[reportAttributeAccessIssue]


def _paths(schema: pa.Schema) -> list[str]:
    """The paths of the columns in Parquet, as the writer names them."""
    out = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), out, store_schema=False)
    found = pq.ParquetFile(pa.BufferReader(out.getvalue())).schema
    return [found.column(at).path for at in range(len(found))]
