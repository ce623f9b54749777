"""Odd but real files: DuckDB's rows, or a refusal that names the file (finding 24). Each failed before."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lab import Lab, iceberg, sink
from test_file_contract import duck, put, rows

from drls_dagster.steps.sources.files.after_records import first_after_record
from drls_dagster.steps.sources.pins import SourceUnreadable

TEXTS = {
    "zip": ("00123", "00456"), "phone": ("+4912345", "1"), "version": ("5d", "6f"), "hex": ("0x1p3", "1"),
    "time": ("10:30", "11:45"), "month": ("2024-01", "2024-02"),
}  # fmt: skip
VALUES = {
    "whole": ("-1", "20"), "big": ("9223372036854775808", "1"), "real": ("-1.5e3", ".5"), "day": ("2024-01-31", "2024-02-01"),
    "moment": ("2024-01-31 10:30:00", "2024-02-01 00:00:01.5"), "yes": ("true", "false"), "none": ("", ""),
}  # fmt: skip


@pytest.mark.slow
def test_what_is_not_written_as_a_value_of_its_type_is_text(lab: Lab) -> None:
    """`00123` was 123, `5d` was 5.0, and `10:30` half past ten of the day on which somebody ran it."""
    columns = {**TEXTS, **VALUES}
    put(lab, {"a.csv": "\n".join(",".join(line) for line in (columns, *zip(*columns.values(), strict=True))) + "\n"})
    found = rows(lab, "a.csv", "csv", header=True)
    assert sorted(row[: len(TEXTS)] for row in found) == sorted(zip(*TEXTS.values(), strict=True))
    chosen = ", ".join(f"{name}::DOUBLE" if name in {"big", "real"} else name for name in VALUES)
    query = f"SELECT {chosen} FROM read_csv('{lab.landing}/a.csv', header = true)"
    shown = [[float(one) if at in {1, 2} else one for at, one in enumerate(row[len(TEXTS) :])] for row in found]
    assert sorted(map(repr, shown)) == sorted(repr(list(row)) for row in duck(query))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("double", ("1.5", "-1e3", "NaN", "-inf", " 7 "), ("5d", "5F", "0x1p3", "1,5", "x")),
        ("timestamp", ("2024-01-31 10:30:00", "2024-1-5T1:2", "2024-01-31T10:00:00+05:30"), ("10:30", "2024", "2024-01", "T1:00")),
        ("timestamp_ntz", ("2024-01-31 10:30:00.1234567", "2024-01-31"), ("10:30", "2024", "2024-01-31T10:00:00Z")),
    ],
)  # fmt: skip
def test_numbers_and_timestamps_of_a_schema_are_wholly_such(
    lab: Lab, kind: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    """`5d` was 5.0, `10:30` was today, and `2024` the first of January."""
    put(lab, {"good/a.csv": "v\n" + "".join(f'"{one}"\n' for one in good)})
    types = {"double": "DOUBLE", "timestamp": "TIMESTAMPTZ", "timestamp_ntz": "TIMESTAMP"}
    query = f"SELECT v::VARCHAR FROM read_csv('{lab.landing}/good/*', header = true, types = {{'v': '{types[kind]}'}})"
    assert len(rows(lab, "good/*", "csv", {"v": kind}, header=True)) == len(duck(query)) == len(good)
    for number, one in enumerate(bad):
        put(lab, {f"{number}/a.csv": f'v\n"{good[0]}"\n"{one}"\n'})
        with pytest.raises(
            SourceUnreadable, match=r"a\.csv \(line 3, column 'v'\) has a value that is not a (num|time)"
        ):
            rows(lab, f"{number}/*", "csv", {"v": kind}, header=True)
        assert len(rows(lab, f"{number}/*", "csv", {"v": kind}, header=True, mode="DROPMALFORMED")) == 1
    put(lab, {"said/a.csv": "v\n10:30 on 31.01.2024\n"})
    if kind == "timestamp":
        found = rows(lab, "said/*", "csv", {"v": kind}, header=True, timestampFormat="HH:mm 'on' dd.MM.yyyy")
        assert found == [(datetime(2024, 1, 31, 10, 30),)]


@pytest.mark.slow
def test_line_breaks_in_quotes_stay_as_they_are(lab: Lab) -> None:
    """Where lines end with a carriage return and a line feed, the one in quotes was a line feed."""
    put(lab, {"a.csv": b'id,who\r\n1,"a\r\nb"\r\n2,"c\rd"\r\n', "b.csv": b'who,id\n"e\r\nf",3\n"g\nh",4\n'})
    put(lab, {"c.csv": b'id,who\r\n5,"i\nj"\r\n'})
    schema = {"id": "int", "who": "string"}
    wanted = [(1, "a\r\nb"), (2, "c\rd"), (3, "e\r\nf"), (4, "g\nh"), (5, "i\nj")]
    for given in (schema, None):
        assert rows(lab, "*.csv", "csv", given, header=True, multiLine=True) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("rest", ['{"id": 2}', " x", "}", "]", ' {"id": 2', "5"])
def test_a_line_of_json_that_goes_on_after_its_record_is_refused(lab: Lab, rest: str) -> None:
    """What came after the first record of a line was lost without an error."""
    put(lab, {"a.json": f'{{"id": 3, "s": "}} x {{"}}\n\n{{"id": 1}}{rest}\n'})
    for schema in ({"id": "int"}, None):
        with pytest.raises(SourceUnreadable, match=r"line 3 of \S+a\.json continues after its record"):
            rows(lab, "a.json", "json", schema)
    assert rows(lab, "a.json", "json", {"id": "int"}, mode="PERMISSIVE") == [(1,), (3,)]


def test_records_are_looked_at_in_pieces_and_text_is_no_record() -> None:
    fine = b'{"a":"} x"}\n{"id":"{"}\n[{"a":1}]\n{"id":1},\n\n  {"id":2}  \r\n{"id":[[]]}'
    assert first_after_record(iter([fine])) is None
    assert first_after_record(iter([b'{"a":1}\r{"b":2}\r'])) is None
    assert first_after_record(iter([b'{"id":3}\n', b'{"id":1}', b'{"id":2}\n'])) == 2
    assert first_after_record(iter([fine, b'\n{"id":1}}'])) == 8
    assert first_after_record(iter([])) is first_after_record(iter([b"\n\n"])) is None


@pytest.mark.slow
def test_json_without_objects_and_a_csv_file_of_very_many_columns_are_refused_in_words(lab: Lab) -> None:
    put(lab, {"a.json": "[1, 2]", "a.csv": ",".join(f"c{at}" for at in range(25_000)) + "\n"})
    with pytest.raises(SourceUnreadable, match=r"a\.json \(line 1\) has a record that is not an object"):
        rows(lab, "a.json", "json")
    with pytest.raises(SourceUnreadable, match=r"a\.csv has more than 20,480 columns; set `maxColumns`"):
        rows(lab, "a.csv", "csv", header=True)


@pytest.mark.slow
def test_a_file_of_a_table_in_an_encoding_that_iceberg_cannot_read_at_once_is_told_with_the_remedy(lab: Lab) -> None:
    """It was "Job aborted due to stage failure: … java.lang.UnsupportedOperationException"."""
    data = pa.table({"s": ["a", "ab", "abc"], "b": [True, None, False]})
    file = lab.landing / "a.parquet"
    encodings = {"b": "RLE", "s": "DELTA_BYTE_ARRAY"}
    pq.write_table(
        data, file, use_dictionary=False, compression="none", data_page_version="2.0", column_encoding=encodings
    )
    lab.create("src", s="string", b="boolean")
    lab.table("src").add_files([str(file)])
    text = lab.pipeline(iceberg("raw", lab.named("src")), sink("out", lab.named("out"), "overwrite"), flow="raw>out")
    with pytest.raises(
        SourceUnreadable, match=r"src, .* has the column 'b' in the encoding RLE, .*vectorization.enabled"
    ):
        lab.prepare(text).sink("out")
    with lab.table("src").transaction() as change:
        change.set_properties({"read.parquet.vectorization.enabled": "false"})
    lab.prepare(text).sink("out")
    assert lab.rows("out") == sorted(zip(*data.to_pydict().values(), strict=True), key=repr)
