"""The contract of file sources: what is pinned is read, once each, by name; compared with DuckDB (finding 24)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lab import Lab, sink, sql

from drls_dagster.steps.sources.pins import SourceUnreadable

SCHEMA = {"id": "int", "who": "string"}
PRETTY = json.dumps([{"id": 1, "who": "a"}, {"id": 2, "who": "b"}], indent=2)
Files = Mapping[str, bytes | str | pa.Table]


def put(lab: Lab, files: Files) -> None:
    for name, data in files.items():
        path = lab.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, pa.Table):
            pq.write_table(data, path)
        else:
            path.write_bytes(data.encode() if isinstance(data, str) else data)


def source(lab: Lab, path: str, kind: str, schema: Mapping[str, str] | None, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "files", "format": kind, "path": lab.path(path), "options": options}
    return {"id": "raw", "type": "source", "source": {**found, **({"schema": schema} if schema else {})}}


def rows(lab: Lab, path: str, kind: str, schema: Mapping[str, str] | None = None, **options: Any) -> list[Any]:
    """What a source gives, sorted, without a sink."""
    text = lab.pipeline(
        source(lab, path, kind, schema, **options), sink("out", lab.named("out"), "overwrite"), flow="raw>out"
    )
    step = lab.prepare(text)
    reads = step.run.reads_of("raw")
    with step.frames.reading("raw", reads):
        return sorted((tuple(row) for row in step.frames.frame("raw", reads).collect()), key=repr)


def duck(query: str) -> list[Any]:
    return sorted(duckdb.sql(query).fetchall(), key=repr)


def test_d1_the_files_pinned_are_the_files_read_whatever_their_names(lab: Lab) -> None:
    """Finding 24, F1; failed on 0.1.0: `orders[1].csv` was taken for a pattern, `_x` and `.y` were left out."""
    names = ["orders1", "orders[1]", "x{1,2}", "a\\b", "2024-01-01T10:00", "a b", "p%20", "ü", "_x", ".y", "q*", "w?"]
    put(lab, {f"{name}.csv": f"id,who\n{at},{at}\n" for at, name in enumerate(names)})
    put(lab, {"run [2024]/a.csv": "id,who\n77,z\n", "_SUCCESS": "", ".orders1.csv.crc": b"crc\x00old"})
    assert rows(lab, "*.csv", "csv", SCHEMA, header=True) == sorted(
        ((at, str(at)) for at in range(len(names))), key=repr
    )
    assert rows(lab, "run [2024]/*.csv", "csv", SCHEMA, header=True) == [(77, "z")]
    assert rows(lab, "orders[1].csv", "csv", SCHEMA, header=True) == [(1, "1")]
    text = lab.pipeline(
        source(lab, "o*.csv", "csv", SCHEMA, header=True), sink("out", lab.named("out"), "overwrite"), flow="raw>out"
    )
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [(0, "0"), (1, "1")]


@pytest.mark.slow
@pytest.mark.parametrize("schema", [None, {"b": "string", "id": "int", "a": "string"}])
def test_csv_columns_go_by_the_names_in_the_header_of_every_file(lab: Lab, schema: dict[str, str] | None) -> None:
    """Finding 24, F2 and F3; failed on 0.1.0: the first file's header stood for all."""
    put(
        lab,
        {
            "0.csv": "",
            "1.csv": '"id","a","b"\n1,a1,b1\n',
            "2.csv": b'\xef\xbb\xbf"id","b","a"\r\n2,b2,a2\r\n',
            "3.csv.gz": gzip.compress(b"b,a,id\nb3,a3,3\n"),
            "4.csv": "a,id,b\n",
        },
    )
    columns = ", ".join(schema or ("id", "a", "b"))
    query = f"SELECT {columns} FROM read_csv('{lab.landing}/[1-4].csv*', union_by_name = true, header = true)"
    assert rows(lab, "*", "csv", schema, header=True) == duck(query)


@pytest.mark.slow
def test_parquet_columns_go_by_name_through_all_files_and_types_by_rule(lab: Lab) -> None:
    """Finding 24, F4; failed on 0.1.0: columns of later files were missing, and types were those of the first."""
    one, two = pa.table({"id": [1], "a": ["x"]}), pa.table({"id": [2], "a": ["y"], "b": ["new"]})
    three = pa.table({"ID": [3.5], "b": pa.nulls(1)})
    for number, order in enumerate(([one, two, three], [three, two, one])):
        put(lab, {f"{number}/{at}.parquet": table for at, table in enumerate(order)})
        query = f"SELECT id, a, b FROM read_parquet('{lab.landing}/{number}/*', union_by_name = true)"
        assert rows(lab, f"{number}/*", "parquet", {"id": "double", "a": "string", "b": "string"}) == duck(query)
        assert sorted(rows(lab, f"{number}/*", "parquet"), key=repr) != []
    for at, values in enumerate([[1], ["x"]]):
        put(
            lab,
            {
                f"clash{at}/1.parquet": pa.table({"v": values}),
                f"clash{at}/2.parquet": pa.table({"v": [["x"], [1]][at]}),
            },
        )
        with pytest.raises(SourceUnreadable, match=r"the column 'v' is \w+ in .*1\.parquet and \w+ in .*2\.parquet"):
            rows(lab, f"clash{at}/*", "parquet")
    put(lab, {"twins.parquet": pa.table({"A": [1], "b": [2], "B": [3]})})
    with pytest.raises(SourceUnreadable, match="has the columns b and B, which Spark treats as the same column"):
        rows(lab, "twins.parquet", "parquet")
    assert rows(lab, "twins.parquet", "parquet", {"A": "long"}) == [(1,)]


@pytest.mark.slow
def test_hive_folders_give_their_columns(lab: Lab) -> None:
    """Finding 24, F5; failed on 0.1.0: no day, or a day that was null everywhere."""
    put(lab, {f"events/day=2024-01-0{day}/x.parquet": pa.table({"id": [day]}) for day in (1, 2)})
    put(lab, {f"text/k={k}/m=0{at}/a.csv": f"id\n{at}\n" for at, k in enumerate(["a%3Ab", "ü x", "[1]", "c:d"])})
    expected = duck(f"SELECT id, day FROM read_parquet('{lab.landing}/events/*/*.parquet', hive_partitioning = true)")
    for path in ("events/*/*.parquet", "events", "events/**"):
        assert rows(lab, path, "parquet") == expected
    assert rows(lab, "events", "parquet", {"id": "long", "day": "date"}) == expected
    assert rows(lab, "events/*/*", "parquet", basePath="events/day=2024-01-01") == expected
    query = f"SELECT id, k, m FROM read_csv('{lab.landing}/text/*/*/*.csv', hive_partitioning = true)"
    assert rows(lab, "text/*/*/*.csv", "csv", {"id": "long"}, header=True) == duck(query)


@pytest.mark.slow
def test_json_is_read_however_it_is_laid_out_and_a_broken_record_fails(lab: Lab) -> None:
    """Finding 24, F8; failed on 0.1.0: ten rows of nulls."""
    put(lab, {"a.json": PRETTY, "b.json": '{"id":3,"who":"c"}\n', "c.json.gz": gzip.compress(PRETTY.encode())})
    put(lab, {"d.json": PRETTY.encode("utf-16"), "e.json": "", "f.json": '{\n"id": 9}\n{"id": 10}'})
    expected = sorted([*[(1, "a"), (2, "b")] * 3, (3, "c"), (9, None), (10, None)], key=repr)
    assert rows(lab, "*.json*", "json", SCHEMA) == rows(lab, "*.json*", "json") == expected
    assert rows(lab, "*.json*", "json", SCHEMA, multiLine=True) == expected
    put(lab, {"bad/a.json": '{"id":1,"who":"a"}\nxx\n'})
    for schema in (SCHEMA, None):
        with pytest.raises(SourceUnreadable, match=r"bad/a\.json .*has a record that cannot be read"):
            rows(lab, "bad/*", "json", schema)
    assert rows(lab, "bad/*", "json", {**SCHEMA, "_corrupt_record": "string"})[-1] == (None, None, "xx")
    put(lab, {"case/a.json": '{"ID":1}\n'})
    with pytest.raises(SourceUnreadable, match=r"a\.json writes 'ID' for what the source's schema calls 'id'"):
        rows(lab, "case/*", "json", SCHEMA)


@pytest.mark.slow
def test_bytes_that_cannot_be_decoded_are_found_beyond_the_beginning_too(lab: Lab) -> None:
    """Finding 24, F17; failed on 0.1.0: U+FFFD, green."""
    latin = "1,größe\n".encode("latin-1")
    put(lab, {"a.csv": b"id,who\n" + b"1,abc\n" * 30_000 + latin, "b.csv": "id,who\n1,a\n"})
    with pytest.raises(SourceUnreadable, match=r"a\.csv is not UTF-8: byte 180,011 cannot be decoded \(column 'who'\)"):
        rows(lab, "*.csv", "csv", SCHEMA, header=True)
    assert (1, "größe") in rows(lab, "*.csv", "csv", SCHEMA, header=True, encoding="ISO-8859-1")
    put(lab, {"real/a.csv": "id,who\n1,\ufffd\n"})
    assert rows(lab, "real/*", "csv", SCHEMA, header=True) == [(1, "\ufffd")]


@pytest.mark.slow
def test_nanoseconds_are_read_and_a_time_of_day_only_matters_to_who_uses_it(lab: Lab) -> None:
    """Finding 24, F10; failed on 0.1.0: PARQUET_TYPE_ILLEGAL for the whole file."""
    stamps = pa.array([1_722_470_400_123_456_789, None], pa.timestamp("ns"))
    put(lab, {"a.parquet": pa.table({"id": [1, 2], "at": stamps, "t": pa.array([3_723_000_005, 0], pa.time64("us"))})})
    said: list[str] = []
    text = lab.pipeline(
        source(lab, "a.parquet", "parquet", None), sql("some", "SELECT id, at FROM raw"), sink("out", lab.named("out"), "overwrite"),
        flow="raw>some>out",
    )  # fmt: skip
    step = lab.prepare(text)
    step.run.log = said.append
    step.sink("out")
    assert [str(row[1]) for row in lab.rows("out")] == ["2024-08-01 00:00:00.123456", "None"]
    assert any("nanoseconds are truncated to microseconds" in line and "a.parquet" in line for line in said)
    assert rows(lab, "a.parquet", "parquet", {"at": "timestamp"})[0] == (None,)
    assert rows(lab, "a.parquet", "parquet", {"t": "string"}) == [("00:00:00.000000",), ("01:02:03.000005",)]
    with pytest.raises(SourceUnreadable, match=r"'t' of node 'raw' is, in .*a\.parquet, a time of day.*declare"):
        rows(lab, "a.parquet", "parquet")


def test_d1_options_that_change_which_files_are_read_are_refused(lab: Lab) -> None:
    """Finding 24; failed on 0.1.0, which read fewer files than it had pinned."""
    put(lab, {"a.csv": "id,who\n1,a\n"})
    for option in ("pathGlobFilter", "ignoreCorruptFiles", "modifiedAfter", "recursiveFileLookup"):
        with pytest.raises(SourceUnreadable, match="would change which files are read"):
            rows(lab, "*.csv", "csv", SCHEMA, header=True, **{option: "x"})


@pytest.mark.slow
def test_names_of_columns_may_have_any_sign(lab: Lab) -> None:
    """Finding 24; failed before with a syntax error of Spark's: a backtick ended the name."""
    put(lab, {"a.csv": "id,a`b,c.d\n1,x,y\n", "a.json": '{"a`b":1,"c d":2}', "a.parquet": pa.table({"a`b": [1]})})
    assert rows(lab, "a.csv", "csv", header=True) == [(1, "x", "y")]
    assert rows(lab, "a.json", "json") == [(1, 2)]
    assert rows(lab, "a.parquet", "parquet") == [(1,)]


@pytest.mark.slow
def test_keys_that_differ_in_case_are_never_rows_of_nulls(lab: Lab) -> None:
    """Finding 24, F8; failed before: of `B` and `b` Spark kept one, and the values of the other were null."""
    put(lab, {"top.json": '{"B":1}\n{"b":2}\n', "in.json": '{"a":{"B":1}}\n{"a":{"b":2}}\n'})
    put(lab, {"two/1.json": '{"B":1}\n', "two/2.json": '{"b":2}\n', "far.json": '{"b":1}\n' * 20_000 + '{"B":2}\n'})
    for path, told in (("top.json", "'b'"), ("in.json", r"'a\.b'"), ("two/*", "'b'"), ("far.json", "'b'")):
        with pytest.raises(SourceUnreadable, match=f"records have {told} in both upper and lower case"):
            rows(lab, path, "json")
    with pytest.raises(SourceUnreadable, match=r"in\.json writes 'a\.B' for what the source's schema calls 'a\.b'"):
        rows(lab, "in.json", "json", {"a": "struct<b:int>"})
    put(lab, {"list.json": '{"a":[{"b":1},{"B":2}]}\n'})
    with pytest.raises(SourceUnreadable, match=r"writes 'a\.B' for what the source's schema calls 'a\.b'"):
        rows(lab, "list.json", "json", {"a": "array<struct<b:int>>"})
    assert rows(lab, "top.json", "json", {"b": "int"}, mode="PERMISSIVE") == [(2,), (None,)]
    put(lab, {"same.json": '{"a":{"b":1}}\n{"a":null}\n{}\n'})
    assert rows(lab, "same.json", "json", {"a": "struct<b:int>"}) == rows(lab, "same.json", "json")


@pytest.mark.slow
def test_a_decimal_with_a_comma_is_no_other_number(lab: Lab) -> None:
    """Finding 24; failed before: Spark leaves commas out, so that `1,5` was 15.00 and `1.234,56` was 1.23."""
    schema = {"id": "int", "v": "decimal(10,2)"}
    for at, wrong in enumerate(("1,5", "1.234,56", "abc", "123456789012")):
        put(lab, {f"{at}/a.csv": "id;v\n1;1.5\n", f"{at}/b.csv": f"id;v\n2;\n3;{wrong}\n"})
        with pytest.raises(
            SourceUnreadable, match=r"b\.csv \(line 3, column 'v'\) has a value that is not a decimal"
        ) as no:
            rows(lab, f"{at}/*", "csv", schema, header=True, sep=";")
        assert wrong not in str(no.value)
        lenient = rows(lab, f"{at}/*", "csv", schema, header=True, sep=";", mode="PERMISSIVE")
        assert [(row[0], str(row[1])) for row in lenient] == [(1, "1.50"), (2, "None"), (3, "None")]
    put(lab, {"good/a.csv": "v;id\n1.5;1\n;2\n-3e1;3\n1.005;4\n"})
    query = f"SELECT id, v FROM read_csv('{lab.landing}/good/a.csv', sep = ';', types = {{'v': 'DECIMAL(10,2)'}})"
    assert rows(lab, "good/*", "csv", schema, header=True, sep=";") == duck(query)
    with pytest.raises(SourceUnreadable, match=r"the column 'v' is array<int>, which a CSV file cannot hold"):
        rows(lab, "good/*", "csv", {"v": "array<int>"}, header=True)
