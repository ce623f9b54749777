"""JSON whose schema is declared: each value is DuckDB's or its record is refused, whatever its type (finding 24)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from lab import Lab, sink

from drls_dagster.engine.session import EngineSession, session
from drls_dagster.settings import Settings
from drls_dagster.steps.sources.pins import SourceUnreadable

pytestmark = pytest.mark.slow

NUMBERS = ["1", "1.0", "1.5", "-0", "1e2", "1E-2", "1e400", "2147483648", "9223372036854775808", "1" + "0" * 40, "NaN"]
TEXTS = [
    '"1"',
    '"1.5"',
    '"x"',
    '""',
    '" 1 "',
    '"true"',
    '"NaN"',
    '"1,5"',
    '"1e2"',
    '"0x10"',
    '"2024-01-31"',
    '"2024-02-30"',
]
OTHERS = [
    "true",
    "null",
    "{}",
    "[]",
    '{"a":1}',
    '{"a":"x"}',
    '{"b":2}',
    '{"a":1.5}',
    "[1]",
    "[null]",
    '["x"]',
    "[1.5]",
    "[[1]]",
]
MOMENTS = [
    '"2024-01-31 10:00:00"',
    '"2024-01-31T10:00:00Z"',
    '"2024-01-31T10:00:00+05:30"',
    '"2024-01-31T25:00:00"',
    '"x"',
    "true",
    "[1]",
    "null",
]
WHOLE = {"1", "-0", "null"}
# By type: DuckDB's name of it, and what is read; every other value makes its record unreadable.
KINDS: dict[str, tuple[str, set[str]]] = {
    "int": ("INTEGER", WHOLE),
    "long": ("BIGINT", {*WHOLE, "2147483648"}),
    "double": ("DOUBLE", {*NUMBERS, '"NaN"', "null"}),
    "boolean": ("BOOLEAN", {"true", "null"}),
    "decimal(9,2)": ("DECIMAL(9,2)", {*WHOLE, "1.0", "1.5", "1e2", "1E-2", '"1"', '"1.5"', '" 1 "', '"1e2"'}),
    "date": ("DATE", {'"2024-01-31"', "null"}),
    "array<int>": ("INTEGER[]", {"[1]", "[]", "[null]", "null"}),
    "map<string,int>": ("MAP(VARCHAR, INTEGER)", {'{"a":1}', '{"b":2}', "{}", "null"}),
    "struct<a:int>": ("STRUCT(a INTEGER)", {'{"a":1}', '{"b":2}', "{}", "null"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def spark(engine: Settings) -> Iterator[EngineSession]:
    with session(engine) as opened:
        yield opened


def read(lab: Lab, spark: EngineSession, schema: dict[str, str], **files: str) -> list[tuple[Any, ...]]:
    for name, text in files.items():
        (lab.landing / f"{name}.json").write_text(text)
    source = {"kind": "files", "format": "json", "path": lab.path("*.json"), "schema": schema}
    text = lab.pipeline(
        {"id": "raw", "type": "source", "source": source}, sink("out", lab.named("out"), "overwrite"), flow="raw>out"
    )
    step = lab.prepare(text, session=spark)
    reads = step.run.reads_of("raw")
    with step.frames.reading("raw", reads):
        return [tuple(row.asDict(recursive=True).values()) for row in step.frames.frame("raw", reads).collect()]


def lines(values: list[str]) -> str:
    return "".join(f'{{"id":{number},"v":{value}}}\n' for number, value in enumerate(values))


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_duckdbs_or_its_record_is_unreadable(lab: Lab, spark: EngineSession, kind: str) -> None:
    values = [*NUMBERS, *TEXTS, *OTHERS]
    name, wanted = KINDS[kind]
    found = read(lab, spark, {"id": "int", "v": kind, "_corrupt_record": "string"}, a=lines(values))
    assert len(found) == len(values), "no record is lost"
    kept = {values[row[0]]: row[1] for row in found if row[2] is None}
    assert kept.keys() == wanted
    for value, got in kept.items():
        (lab.landing / "one.ndjson").write_text(f'{{"v":{value}}}\n')
        query = f"SELECT v FROM read_json('{lab.landing}/one.ndjson', columns = {{v: '{name}'}})"
        assert repr(got) == repr(duckdb.sql(query).fetchall()[0][0]), value


def test_moments_are_instants_or_wall_clocks_and_text_is_what_was_written(lab: Lab, spark: EngineSession) -> None:
    schema = {"id": "int", "t": "timestamp", "n": "timestamp_ntz", "s": "string", "_corrupt_record": "string"}
    text = "".join(
        json.dumps({"id": at}).replace("}", f', "t": {one}, "n": {one}, "s": {one}}}\n')
        for at, one in enumerate(MOMENTS)
    )
    found = {MOMENTS[row[0]]: row[1:] for row in read(lab, spark, schema, a=text)}
    assert len(found) == len(MOMENTS)
    read_both = {one: (str(row[0]), str(row[1]), row[2]) for one, row in found.items() if row[3] is None}
    assert read_both == {
        MOMENTS[0]: ("2024-01-31 10:00:00", "2024-01-31 10:00:00", "2024-01-31 10:00:00"),
        "null": ("None", "None", None),
    }, "a zone is no part of a wall clock"
    assert str(found[MOMENTS[1]][0]) == "2024-01-31 10:00:00"
    assert str(found[MOMENTS[2]][0]) == "2024-01-31 04:30:00"


@pytest.mark.parametrize(
    ("schema", "files", "told"),
    [
        ({"id": "int"}, {"a": '{"id":1}\n', "b": '[\n{"id":"x"}\n]\n'}, r"b\.json \(line 2\) .*its field 'id' does not have the"),
        ({"id": "int"}, {"a": '{"id":1,"id":2}\n'}, r"a\.json has a record with 'id' twice"),
        ({"v": "binary"}, {"a": '{"v":"x"}\n'}, r"column 'v' of the source's schema is binary, and JSON has no bytes"),
        ({"v": "map<int,int>"}, {"a": '{"v":{"1":2}}\n'}, r"column 'v' of the source's schema is a map whose keys are"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_file_or_column(
    lab: Lab, spark: EngineSession, schema: dict[str, str], files: dict[str, str], told: str
) -> None:
    with pytest.raises(SourceUnreadable, match=told) as refused:
        read(lab, spark, schema, **files)
    assert str(refused.value).startswith("node 'raw': ")
