"""JSON as people write it, without a schema: DuckDB's rows, or a refusal that names the file (finding 24)."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from lab import Lab, sink

from drls_dagster.engine.session import EngineSession, session
from drls_dagster.settings import Settings
from drls_dagster.steps.sources.pins import SourceUnreadable

pytestmark = pytest.mark.slow
Files = str | bytes | Mapping[str, str | bytes]


def v(*values: str) -> str:
    """A record a line, each with that as `v`."""
    return "".join(f'{{"v":{value}}}\n' for value in values)


@pytest.fixture(scope="module")
def spark(engine: Settings) -> Iterator[EngineSession]:
    """One session for all: what is read here changes nothing in it."""
    with session(engine) as opened:
        yield opened


@pytest.fixture
def raw(lab: Lab, spark: EngineSession) -> Any:
    """The rows that a source of these files gives, as DuckDB shows its own."""

    def read(files: Files) -> list[str]:
        put(lab, files)
        source = {"kind": "files", "format": "json", "path": lab.path("*.json*")}
        text = lab.pipeline(
            {"id": "raw", "type": "source", "source": source},
            sink("out", lab.named("out"), "overwrite"),
            flow="raw>out",
        )
        step = lab.prepare(text, session=spark)
        reads = step.run.reads_of("raw")
        with step.frames.reading("raw", reads):
            frame = step.frames.frame("raw", reads)
            return shown([tuple(row.asDict(recursive=True).values()) for row in frame.collect()])

    return read


def put(lab: Lab, files: Files) -> None:
    for name, data in (files if isinstance(files, Mapping) else {"a.json": files}).items():
        (lab.landing / name).write_bytes(data.encode() if isinstance(data, str) else data)


def shown(rows: list[Any]) -> list[str]:
    return sorted(repr(tuple(str(one) if isinstance(one, Decimal) else one for one in row)) for row in rows)


@pytest.mark.parametrize(
    "files",
    [
        v("1", "2.5"), {"1.json": v("1"), "2.json": v("2.5")}, {"1.json": v('{"a":1}'), "2.json": v('{"b":"x"}')},
        v('{"a":1}', '{"b":"x"}', "null"), v('[{"a":1},{"b":2}]', "[]"), v("[[1],[2,3]]", "[[]]"), v("[]", "[]"),
        '{"id":1,"v":null}\n{"id":2,"v":null}\n', '{"id":1}\n{"v":"a"}\n', f"{v('1')}", v(str(10**45)),
        v("0.1234567890123456789012345"), v("1e400"), v("-0", "0"), v('"2024-01-31"', '"x"'), v('"1"', '"2"'),
        '{"a":1,"b":2}\n{"b":3,"a":4}\n', v('"\\u00fc\\ud83d\\ude00"'), '{"\\u0076":1}\n', v('"a\\u0000b"'),
        b"\xef\xbb\xbf" + v("1", "2").encode(), {"1.json": v("1"), "2.json": b"\xef\xbb\xbf" + v("2").encode()},
        v("Infinity"), '[{"v":1},{"v":2}]', '[\n{"v":1},\n{"v":2}\n]\n', '{\n "v":\n 1\n}\n', '{"v":1}\r\n{"v":2}\r\n',
        '\n{"v":1}\n\n \n{"v":2}\n\n', '{"v":1}', {"1.json": "", "2.json": v("1")},
        {"a.json.gz": gzip.compress(v("1").encode()) + gzip.compress(v("2").encode())},
    ],
)  # fmt: skip
def test_json_holds_what_duckdb_finds_in_it(lab: Lab, raw: Any, files: Files) -> None:
    found = raw(files)
    query = f"SELECT * FROM read_json('{lab.landing}/*.json*', union_by_name = true)"
    assert found == shown(duckdb.execute(query).fetchall())


@pytest.mark.parametrize(
    ("files", "rows"),
    [
        # DuckDB has the JSON text of each value there.
        (v("1", '"a"'), ["1", "a"]),
        (v("true", '"a"'), ["true", "a"]),
        (v("true", "1"), ["true", "1"]),
        ({"1.json": v("1"), "2.json": v('"a"')}, ["1", "a"]),
        ({"1.json": v('"a"'), "2.json": v("1")}, ["1", "a"]),
        ({"1.json": v('{"a":1}'), "2.json": v("1")}, ['{"a":1}', "1"]),
        ({"1.json": v("[1]"), "2.json": v("1")}, ["[1]", "1"]),
        (v('{"a":1}', "[1]"), ['{"a":1}', "[1]"]),
        (v('{"a":1}', "5"), ['{"a":1}', "5"]),
        (v('{"a":1}', '{"a":"x"}'), [{"a": "1"}, {"a": "x"}]),
        (v('[1,"a",true]'), [["1", "a", "true"]]),
        # DuckDB has a double, which is not the number.
        (v(str(10**30), "1"), [Decimal(10**30), Decimal(1)]),
        (v("9223372036854775807", "9223372036854775808"), [Decimal(2**63 - 1), Decimal(2**63)]),
        # DuckDB has a date and a timestamp; here they are such where a schema says so.
        (v('"2024-01-31"', '"2024-02-01"'), ["2024-01-31", "2024-02-01"]),
        (v('"2024-01-31T10:00:00Z"'), ["2024-01-31T10:00:00Z"]),
        # Spark's own extension of JSON.
        ("{'v':1}\n", [1]),
        # DuckDB reads no .bz2.
        ({"a.json.bz2": bz2.compress(v("1").encode())}, [1]),
    ],
)
def test_values_of_several_types_keep_all_that_they_say(raw: Any, files: Files, rows: list[Any]) -> None:
    assert raw(files) == shown([(one,) for one in rows])


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ('{"v":1,"v":2}\n', r"records have 'v' twice, .*a\.json"),
        ('{"v":1,"v":"a"}\n', r"records have 'v' twice, .*a\.json"),
        ("{v:1}\n", r"a\.json \(line 1\) has a record that cannot be read: it is not JSON"),
        ('/* a */{"v":1}\n', r"a\.json \(line 1\) has a record that cannot be read: it is not JSON"),
        ('{"v":1,}\n', r"a\.json \(line 1\) has a record that cannot be read: it is not JSON"),
        ("1\n2\n", r"a\.json \(line 1\) has a record that is not an object"),
        ("", r"a\.json is empty, and so is every other file"),
        (v("1") + "xyz\n", r"a\.json \(line 2\) has a record that cannot be read: it is not JSON"),
        ('{"v":1}\n{"v":', r"a\.json \(line 2\) has a record that cannot be read: it is not JSON"),
        ('[\n{"v":1},\n{"v":', r"a\.json is not JSON after its first 1 record"),
    ],
)
def test_what_is_no_json_is_refused_by_name(raw: Any, files: Files, told: str) -> None:
    with pytest.raises(SourceUnreadable, match=told) as refused:
        raw(files)
    assert "node 'raw': " in str(refused.value)
    assert "SQLSTATE" not in str(refused.value)
