"""CSV files: columns by the names in their headers, quotes as in RFC 4180; what does not fit is said."""

from __future__ import annotations

import gzip
from typing import Any

import duckdb
import pytest
from lab import Lab, Node, sink

ALL = {"id": "int", "t": "string", "u": "string"}
HEADER = {"header": True}
PLAIN = b"id,t,u\n1,a,x\n2,b,y\n"


def source(lab: Lab, options: dict[str, Any], schema: dict[str, str] | None) -> Node:
    found: dict[str, Any] = {"kind": "files", "format": "csv", "path": lab.path("*.csv*"), "options": options}
    return {"id": "raw", "type": "source", "source": {**found, **({"schema": schema} if schema else {})}}


def pipeline(lab: Lab, options: dict[str, Any], schema: dict[str, str] | None, table: str = "out") -> str:
    return lab.pipeline(source(lab, options, schema), sink("out", lab.named(table), "overwrite"), flow="raw>out")


@pytest.mark.parametrize(
    ("name", "data", "options", "told"),
    [
        ("a.csv", PLAIN, {}, ""),
        ("bom.csv", b"\xef\xbb\xbf" + PLAIN, {}, ""),
        ("crlf.csv", PLAIN.replace(b"\n", b"\r\n"), {}, ""),
        ("tab.csv", PLAIN.replace(b",", b"\t"), {"sep": "\\t"}, ", delim = '\\t'"),
        ("quotes.csv", b'"id",t,u\n1,"say ""hi"", you",x\n2,"b,b",y\n', {}, ""),
        ("lines.csv", b'id,t,u\n1,"a\nb",x\n', {"multiLine": True}, ""),
        ("wide.csv", "id,t,u\n1,größe,x\n2,b,y\n".encode("utf-16"), {"encoding": "UTF-16"}, ", encoding = 'utf-16'"),
        ("packed.csv.gz", gzip.compress(PLAIN), {}, ""),
        ("short.csv", b"id,t,u\n1,a\n2,b,y\n", {"mode": "PERMISSIVE"}, ", null_padding = true"),
        ("none.csv", b"id,t,u\n", {}, ""),
    ],
)
def test_a_csv_file_holds_what_duckdb_finds_in_it_whichever_columns_the_schema_names(
    lab: Lab, name: str, data: bytes, options: dict[str, Any], told: str
) -> None:
    file = lab.landing / name
    file.write_bytes(data)
    for table, columns in {"all": ["id", "t", "u"], "some": ["u", "id"], "one": ["T"], "found": None}.items():
        schema = {column: ALL[column.lower()] for column in columns} if columns else None
        lab.prepare(pipeline(lab, {**HEADER, **options}, schema, table)).sink("out")
        chosen = ", ".join(columns or ALL)
        query = f"SELECT {chosen} FROM read_csv('{file}', header = true, types = {ALL}{told})"
        expected = sorted(duckdb.sql(query).fetchall(), key=repr)
        assert [str(row) for row in lab.rows(table)] == [str(row) for row in expected]


def test_a_column_that_the_header_lacks_is_named_and_by_place_it_is_null(lab: Lab) -> None:
    lab.file("a.csv", PLAIN.decode())
    more = {**ALL, "extra": "int"}
    assert "a.csv lacks extra; it has id, t, u. " in lab.run(pipeline(lab, HEADER, more)).failure
    lab.prepare(pipeline(lab, {**HEADER, "enforceSchema": True}, more)).sink("out")
    assert lab.rows("out") == [(1, "a", "x", None), (2, "b", "y", None)]


def test_lines_that_cannot_be_read_fail_their_source_unless_the_spec_asks_for_something_else(lab: Lab) -> None:
    lab.file("a.csv", "id,t,u\n1,a,x\nno,b,y\n")
    lab.prepare(pipeline(lab, HEADER, {"id": "int", "_corrupt_record": "string"})).sink("out")
    assert lab.rows("out") == [(1, None), (None, "no,b,y")]
    failure = lab.run(pipeline(lab, HEADER, ALL)).failure
    assert failure.startswith(
        f"node 'raw': {lab.path('a.csv')} (line 3, column 'id') has a record that cannot be read: a value does not "
    )
    assert "set in the source's options `mode: PERMISSIVE`" in failure
    assert lab.run(pipeline(lab, {**HEADER, "mode": "PERMISSIVE"}, ALL, "lenient")).success
    assert lab.rows("lenient", "id") == [(1,), (None,)]
