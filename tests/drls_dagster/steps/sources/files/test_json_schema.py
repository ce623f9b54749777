"""JSON whose schema is declared: what a record cannot say is refused before Spark reads it (finding 24)."""

from __future__ import annotations

import pytest

from drls_dagster.steps.sources.files.heads import Head
from drls_dagster.steps.sources.files.json_files import _refuse_kinds, _refuse_other_case
from drls_dagster.steps.sources.pins import SourceUnreadable


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("binary", "column 'v' of the source's schema is binary, and JSON has no bytes; declare `string`"),
        ("array<binary>", "is binary, and JSON has no bytes"),
        ("struct<a:array<map<string,binary>>>", "is binary, and JSON has no bytes"),
        ("map<int,int>", "is a map whose keys are not text, and JSON has no others; declare map<string, …>"),
        ("array<struct<a:map<date,int>>>", "is a map whose keys are not text"),
    ],
)
def test_types_that_json_has_no_values_of_are_refused(kind: str, told: str) -> None:
    """Failed before: records whose text is no base64 were lost without an error; other keys ended in Java's error."""
    with pytest.raises(SourceUnreadable) as refused:
        _refuse_kinds("raw", {"id": "int", "v": kind})
    assert told in str(refused.value)
    _refuse_kinds("raw", {"id": "int", "v": "map<string,array<struct<a:string>>>"})


SCHEMA = {"id": "int", "s": "struct<a:int,l:array<struct<b:int>>>", "m": "map<string,int>"}


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ('{"id":1,"id":2}', "id"),
        ('{"id":1,"id":1}', "id"),
        ('{"id":1}\n{"s":{"a":1,"a":2}}', "s.a"),
        ('{"s":{"l":[{"b":1},{"b":1,"b":2}]}}', "s.l.b"),
        ('{"m":{"x":1,"x":2}}', "m.x"),
        ('[\n{"id":1},\n{"id":2,\n"id":3}\n]', "id"),
    ],
)
def test_a_key_that_a_record_has_twice_is_refused(text: str, twice: str) -> None:
    """Failed before: the last one counted. DuckDB refuses such a record as well."""
    with pytest.raises(SourceUnreadable, match=f"node 'raw': a.json has a record with '{twice}' twice; correct it"):
        _refuse_other_case("raw", Head("a.json", text=text), SCHEMA)


@pytest.mark.parametrize(
    "text", ['{"id":1}\n{"id":1}', '{"id":1,"x":1,"x":2}', '{"s":{"z":1,"z":2}}', '{"id":{"a":1,"a":2}}']
)
def test_what_the_schema_does_not_name_may_be_there_twice(text: str) -> None:
    _refuse_other_case("raw", Head("a.json", text=text), SCHEMA)
