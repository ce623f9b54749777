"""Odd but real Parquet files, folders and links: DuckDB's rows, or a refusal that names the file (finding 24)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lab import Lab
from test_file_contract import duck, put, rows

from drls_dagster.steps.sources.pins import SourceUnreadable

pytestmark = pytest.mark.slow
MANY = pa.table({"id": list(range(1000)), "s": [f"v{one % 7}" for one in range(1000)], "f": [one / 8 for one in range(1000)]})  # fmt: skip


def write(lab: Lab, name: str, table: pa.Table, **options: Any) -> None:
    path = lab.landing / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)


def test_encodings_and_columns_without_values_are_read_as_they_are(lab: Lab) -> None:
    """BYTE_STREAM_SPLIT was "Unsupported encoding", and a column without values an AnalysisException of Spark's."""
    encodings = {"id": "BYTE_STREAM_SPLIT", "f": "BYTE_STREAM_SPLIT", "s": "DELTA_LENGTH_BYTE_ARRAY"}
    write(lab, "e/a.parquet", MANY, use_dictionary=False, column_encoding=encodings)
    assert rows(lab, "e/*", "parquet") == duck(f"SELECT * FROM read_parquet('{lab.landing}/e/*')")
    put(lab, {"v/a.parquet": pa.table({"s": pa.nulls(1), "l": pa.nulls(1)})})
    put(lab, {"v/b.parquet": pa.table({"s": [{"a": 1}], "l": [["x"]]})})
    assert [(row[0] and tuple(row[0]), row[1]) for row in rows(lab, "v/*", "parquet")] == [(None, None), ((1,), ["x"])]


def test_what_cannot_be_read_is_refused_by_file_and_remedy(lab: Lab) -> None:
    """Each was a sentence of Spark's or Java's own, without the file or without a remedy."""
    write(lab, "brotli.parquet", MANY, compression="brotli")
    twins = pa.array([{"a": 1, "A": 2}], pa.struct([("a", pa.int64()), ("A", pa.int64())]))
    put(lab, {"none.parquet": pa.table({}), "twins.parquet": pa.table({"s": twins, "id": [1]})})
    put(lab, {"bytes.parquet": pa.table({"s": [b"\xff\xfe", b"a"]})})
    write(lab, "zeros.parquet", MANY)
    whole = (lab.landing / "zeros.parquet").read_bytes()
    put(lab, {"zeros.parquet": whole[:4] + bytes(2000) + whole[2004:]})
    for name, told in (
        ("brotli", r"brotli\.parquet is compressed with brotli, which Spark cannot read; write it with zstd or snappy"),
        ("none", r"none\.parquet has no columns; send it again"),
        ("twins", r"twins\.parquet has the columns s\.a and s\.A, which Spark treats as the same column; rename one"),
        ("zeros", r"zeros\.parquet cannot be read \(it is damaged, or has a part that Spark does not know\)"),
    ):
        with pytest.raises(SourceUnreadable, match=told):
            rows(lab, f"{name}.parquet", "parquet")
    assert rows(lab, "twins.parquet", "parquet", {"id": "long"}) == [(1,)]
    with pytest.raises(
        SourceUnreadable, match=r"column 's' of node 'raw' is, in .*bytes\.parquet, bytes that are not all"
    ):
        rows(lab, "bytes.parquet", "parquet", {"s": "string"})


def test_a_page_that_was_damaged_on_its_way_gives_no_other_values(lab: Lab) -> None:
    """Its checksum was not looked at: other values were read, without an error."""
    write(lab, "a.parquet", MANY, write_page_checksum=True)
    assert len(rows(lab, "a.parquet", "parquet")) == len(MANY)
    data = bytearray((lab.landing / "a.parquet").read_bytes())
    data[60] ^= 1
    put(lab, {"a.parquet": bytes(data)})
    with pytest.raises(SourceUnreadable, match=r"a\.parquet cannot be read \(.*CRC checksum verification failed"):
        rows(lab, "a.parquet", "parquet")


def test_folders_give_decimals_with_their_point_where_it_is(lab: Lab) -> None:
    put(
        lab,
        {f"v={v}/a.parquet": pa.table({"id": [at]}) for at, v in enumerate(["2", "1.5", "__HIVE_DEFAULT_PARTITION__"])},
    )
    for kind in ("decimal(10,4)", "decimal(30,4)"):
        found = rows(lab, "v=*/*.parquet", "parquet", {"id": "long", "v": kind})
        assert found == [(0, Decimal("2.0000")), (1, Decimal("1.5000")), (2, None)]
        assert rows(lab, "v=*/*.parquet", "parquet", {"v": kind}) == [
            (Decimal("1.5000"),),
            (Decimal("2.0000"),),
            (None,),
        ]


def test_two_links_to_one_file_are_two_files(lab: Lab) -> None:
    """It was refused: "Spark would read 1 of 2 pinned files; look for options that exclude files"."""
    put(lab, {"real/a.csv": "id\n1\n", "in/c.csv": "id\n2\n"})
    for name in ("a", "b"):
        (lab.landing / "in" / f"{name}.csv").symlink_to("../real/a.csv")
    assert rows(lab, "in/*", "csv", header=True) == duck(f"SELECT * FROM read_csv('{lab.landing}/in/*', header = true)")


def test_a_text_in_json_is_no_time_of_the_day_of_the_run(lab: Lab) -> None:
    """`10:30` was today's, in every mode; a number is seconds since 1970."""
    put(
        lab, {"good.json": '{"at":"2024-01-31T10:30:00Z"}\n{"at":1700000000}\n', "a.json": '{"at":0}\n{"at":"10:30"}\n'}
    )
    put(lab, {"b.json": '[\n {"at": 0},\n {"at":\n  "2024"}\n]'})
    assert len(rows(lab, "good.json", "json", {"at": "timestamp"})) == 2
    for mode in ("FAILFAST", "PERMISSIVE", "DROPMALFORMED"):
        with pytest.raises(
            SourceUnreadable, match=r"a\.json \(line 2, column 'at'\) has a text that is not a timestamp"
        ):
            rows(lab, "a.json", "json", {"at": "timestamp"}, mode=mode)
    with pytest.raises(SourceUnreadable, match=r"b\.json \(record 2, column 'at'\) has a text that is not a timestamp"):
        rows(lab, "b.json", "json", {"at": "timestamp"})
    assert rows(lab, "a.json", "json", {"at": "string"}) == [("0",), ("10:30",)]
