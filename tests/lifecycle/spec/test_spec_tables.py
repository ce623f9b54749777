"""What a definition tells of tables, of columns, and of the lines that its problems are in."""

from __future__ import annotations

import pytest

from lifecycle.spec import PipelineSpec, SpecError, parse_pipeline
from lifecycle.spec.lines import Lines
from lifecycle.spec.tables import known_columns, read_from, table_lineage

TEXT = """\
format_version: 1
name: flights
nodes:
  - id: raw
    type: source
    source: {kind: iceberg, table: raw.flights}
  - id: files
    type: source
    source: {kind: files, format: csv, path: "carriers/*.csv", schema: {carrier: string, name: string}}
  - id: joined
    type: transform
    step: spark
    sql: SELECT r.day, r.delay * 2 AS twice, f.name FROM raw r JOIN files f ON r.carrier = f.carrier
  - id: passed
    type: transform
    step: spark
    sql: SELECT *, upper(name) AS loud FROM joined
  - id: out
    type: sink
    table: flights.late
    mode: merge
    keys: [day]
  - id: checks
    type: monitor
    checks: [{kind: not_null, columns: [twice]}]
edges:
  - {from: raw, to: joined}
  - {from: files, to: joined}
  - {from: joined, to: passed}
  - {from: passed, to: out}
  - {from: out, to: checks}
"""


def spec() -> PipelineSpec:
    return parse_pipeline(TEXT)


def test_columns_are_known_as_far_as_the_definition_tells_of_them() -> None:
    found = known_columns(spec())
    assert found["raw"] == ()
    assert found["files"] == ("carrier", "name")
    assert found["joined"] == ("day", "twice", "name")
    assert found["passed"] == ("day", "twice", "name", "loud")
    assert found["out"] == ("day", "twice", "name", "loud")
    assert "checks" not in found


def test_columns_of_a_table_are_traced_to_what_sources_read() -> None:
    (raw, files) = (read_from(one) for one in spec().sources)
    assert (raw, files) == ("raw.flights", "files: carriers/*.csv")
    assert table_lineage(spec()) == {
        "flights.late": {
            "day": (("raw.flights", "day"),),
            "twice": (("raw.flights", "delay"),),
            "name": (("files: carriers/*.csv", "name"),),
            "loud": (("files: carriers/*.csv", "name"),),
        }
    }


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("kind: iceberg,", "kind: icebreg,", 6),
        ("sql: SELECT *", "sql: SELCT *", 17),
        ("mode: merge", "mode: murge", 21),
        ("columns: [twice]", "columns: []", 25),
        ("- {from: raw, to: joined}", "- {from: raw, too: joined}", 27),
        ("name: flights\n", "name: flights\n  odd: indent\n", 3),
        ("name: flights\n", "name: Flights\n", 2),
        ("    keys: [day]\n", "", 18),
    ],
)
def test_a_problem_has_its_line(before: str, after: str, line: int) -> None:
    assert before in TEXT
    text = TEXT.replace(before, after, 1)
    with pytest.raises(SpecError) as raised:
        parse_pipeline(text)
    assert Lines(text).of(raised.value.problems[0]) == line, str(raised.value)


def test_json_has_lines_too_and_what_cannot_be_read_has_none() -> None:
    text = '{"format_version": 1,\n "name": "flights",\n "nodes": 3}'
    with pytest.raises(SpecError) as raised:
        parse_pipeline(text)
    assert Lines(text).of(raised.value.problems[0]) == 3
    assert Lines("").of(raised.value.problems[0]) is None
    assert Lines("\t{:").of(raised.value.problems[0]) is None
