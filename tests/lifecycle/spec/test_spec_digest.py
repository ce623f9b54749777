"""Equal meaning, equal digest; and a digest changes only where what it stands for does."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.spec import (
    Lock,
    PipelineSpec,
    canonical_json,
    digest,
    dump_yaml,
    load_pipeline,
    parse_pipeline,
    subtree_digest,
)

Build = Callable[..., PipelineSpec]
Data = dict[str, Any]


def top(**fields: Any) -> Callable[[Data], object]:
    return lambda data: data.update(fields)


def node(index: int, **fields: Any) -> Callable[[Data], object]:
    return lambda data: data["nodes"][index].update(fields)


def test_the_digest_of_the_example_stays_what_it_is(example: Path) -> None:
    assert digest(load_pipeline(example)) == "sha256:88a31349aba666ca744d4bd0c47b4a4fac107443d744c813d43d840f23bcac7a"


def test_the_canonical_form_is_a_pipeline_file_with_the_same_digest(example: Path, all_kinds: Path) -> None:
    for file in (example, all_kinds):
        spec = load_pipeline(file)
        canonical = canonical_json(spec)
        assert canonical_json(parse_pipeline(canonical)) == canonical
        shuffled = json.dumps(json.loads(canonical), sort_keys=True, indent=2)
        assert digest(parse_pipeline(shuffled)) == digest(spec)


def test_yaml_and_json_of_one_content_have_one_digest(example: Path, all_kinds: Path) -> None:
    for file in (example, all_kinds):
        spec = load_pipeline(file)
        data = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        assert digest(parse_pipeline(json.dumps(data))) == digest(spec) == digest(parse_pipeline(dump_yaml(spec)))


SAME: dict[str, list[Callable[[Data], object]]] = {
    "defaults written out": [
        top(description="", owners=[], tags={}, run={"executors": 1, "cores": 2, "memory": "2g"}, lock=None),
        node(0, source={"kind": "iceberg", "table": "sales.orders", "read": "full"}),
        node(2, on_schema_change="add", repeat=False, keys=None, properties={}),
        node(3, checks=[{"kind": "row_count", "min": 1, "severity": "blocking", "name": "row_count"}]),
    ],
    "nodes and edges in another order": [lambda d: d["nodes"].reverse(), lambda d: d["edges"].reverse()],
    "keys in another order": [lambda d: d.update(nodes=[dict(reversed(n.items())) for n in d["nodes"]])],
}


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME.keys())
def test_equal_meaning_gives_an_equal_digest(spec_of: Build, changes: list[Callable[[Data], object]]) -> None:
    assert digest(spec_of(*changes)) == digest(spec_of())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (top(run={"retries": {"delay": "60s"}}), top(run={"retries": {"delay": "1m"}})),
        (top(run={"retries": {"delay": 90}}), top(run={"retries": {"delay": "90000ms"}})),
        (node(2, partition_by=["months(day)"]), node(2, partition_by=["month( day )"])),
        (node(2, sort_by=["x"]), node(2, sort_by=[{"column": "x", "order": "asc"}])),
        (node(2, properties={"comment": True}), node(2, properties={"comment": "true"})),
        (
            top(parameters={"a": {"type": "integer", "default": "5"}}),
            top(parameters={"a": {"type": "integer", "default": 5}}),
        ),
        (top(schedule={"cron": "0  6 * * *"}), top(schedule={"cron": "0 6 * * *", "timezone": "UTC"})),
    ],
)
def test_two_ways_to_write_one_thing_give_one_digest(
    spec_of: Build, first: Callable[[Data], object], second: Callable[[Data], object]
) -> None:
    assert digest(spec_of(first)) == digest(spec_of(second))
    assert digest(spec_of(first)) != digest(spec_of())


DIFFERENT: dict[str, Callable[[Data], object]] = {
    "name": top(name="other"),
    "description": top(description="x"),
    "owners": top(owners=["a@b.org"]),
    "schedule": top(schedule={"cron": "0 6 * * *"}),
    "parameter without a default": top(parameters={"a": {"type": "string"}}),
    "parameter that is empty": top(parameters={"a": {"type": "string", "default": ""}}),
    "sql": node(1, sql="SELECT day, x  FROM orders"),
    "mode": node(2, mode="merge", keys=["day"]),
    "check": node(3, checks=[{"kind": "row_count", "min": 2}]),
    "number as text": node(3, checks=[{"kind": "accepted_values", "column": "a", "values": ["1"]}]),
    "number": node(3, checks=[{"kind": "accepted_values", "column": "a", "values": [1]}]),
    "truth": node(3, checks=[{"kind": "accepted_values", "column": "a", "values": [True]}]),
}


def test_different_meaning_gives_different_digests(spec_of: Build) -> None:
    digests = [digest(spec_of(change)) for change in DIFFERENT.values()]
    assert len({*digests, digest(spec_of())}) == len(DIFFERENT) + 1


def test_the_order_of_columns_counts(spec_of: Build) -> None:
    def ray(*columns: str) -> Callable[[Data], object]:
        schema = dict.fromkeys(columns, "long")
        step = {"id": "daily", "type": "transform", "step": "rayProcess", "python": "def process(batch): ..."}
        return lambda data: data["nodes"].__setitem__(1, {**step, "output_schema": schema})

    assert digest(spec_of(ray("a", "b"))) != digest(spec_of(ray("b", "a")))


def test_l2_the_digest_covers_the_lock_block(spec_of: Build) -> None:
    spec = spec_of()
    before = digest(spec)
    locked = spec.model_copy(update={"lock": Lock(code={"a:b": "sha256:1"})})
    assert digest(locked) != before
    assert digest(spec) == before
    assert digest(parse_pipeline(dump_yaml(locked))) == digest(locked)


USED = [
    node(1, sql="SELECT day, x FROM orders WHERE x > :least"),
    top(parameters={"least": {"type": "integer", "default": 1}, "other": {"type": "integer", "default": 1}}),
]

CHANGES: dict[str, tuple[Callable[[Data], object], set[str]]] = {
    "the source": (
        node(0, source={"kind": "iceberg", "table": "sales.o2"}),
        {"orders", "daily", "daily_orders", "quality"},
    ),
    "the SQL": (node(1, sql="SELECT x FROM orders WHERE x >= :least"), {"daily", "daily_orders", "quality"}),
    "the sink": (node(2, table="sales.other"), {"daily_orders", "quality"}),
    "the check": (node(3, checks=[{"kind": "row_count", "min": 2}]), {"quality"}),
    "a used parameter": (
        lambda d: d["parameters"]["least"].update(default=2),
        {"daily", "daily_orders", "quality"},
    ),
    "an unused parameter": (lambda d: d["parameters"]["other"].update(default=2), set()),
    "words about a parameter": (
        lambda d: d["parameters"]["least"].update(description="x", runtime=True),
        set(),
    ),
    "words, schedule, resources": (
        top(description="x", schedule={"cron": "0 6 * * *"}, run={"cores": 4}, name="n"),
        set(),
    ),
    "order in the file": (lambda d: (d["nodes"].reverse(), d["edges"].reverse()), set()),
}


@pytest.mark.parametrize(("change", "touched"), CHANGES.values(), ids=CHANGES.keys())
def test_a_subtree_digest_changes_exactly_where_the_output_does(
    spec_of: Build, change: Callable[[Data], object], touched: set[str]
) -> None:
    before, after = spec_of(*USED), spec_of(*USED, change)
    changed = {name for name in before.topological() if subtree_digest(before, name) != subtree_digest(after, name)}
    assert changed == touched


def test_a_subtree_digest_covers_how_a_pipeline_is_partitioned_and_not_how_far(spec_of: Build) -> None:
    def monthly(**fields: Any) -> Callable[[Data], object]:
        return top(partitions={"kind": "monthly", "start": "2013-01-01", "column": "day", **fields})

    base = subtree_digest(spec_of(monthly()), "daily")
    assert base == subtree_digest(spec_of(monthly(end="2014-01-01")), "daily")
    assert base != subtree_digest(spec_of(monthly(timezone="Europe/Berlin")), "daily")
    assert base != subtree_digest(spec_of(), "daily")


def test_l2_a_subtree_digest_covers_the_lock_of_its_own_code(spec_of: Build) -> None:
    def code(data: Data) -> None:
        data["nodes"][1] = {"id": "daily", "type": "transform", "step": "spark", "entrypoint": "a:b"}

    def locked(**code_digests: str) -> PipelineSpec:
        return spec_of(code).model_copy(update={"lock": Lock(code={f"{key}:b": v for key, v in code_digests.items()})})

    assert subtree_digest(locked(a="1"), "daily") != subtree_digest(locked(a="2"), "daily")
    assert subtree_digest(locked(a="1"), "daily") == subtree_digest(locked(a="1", z="9"), "daily")
    assert subtree_digest(locked(a="1"), "orders") == subtree_digest(locked(a="2"), "orders")
    with pytest.raises(KeyError, match="no node 'zzz'"):
        subtree_digest(locked(a="1"), "zzz")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
NAME = st.text(string.ascii_lowercase, min_size=1, max_size=8)
VALUE = st.one_of(TEXT, st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.floats(-(2**53) + 1, 2**53 - 1))
PARAMETER = st.one_of(
    st.fixed_dictionaries({"type": st.just("string"), "default": TEXT, "description": TEXT}),
    st.fixed_dictionaries({"type": st.just("integer"), "default": st.integers(-(2**63), 2**63 - 1)}),
    st.fixed_dictionaries({"type": st.just("number"), "default": st.floats(allow_nan=False, allow_infinity=False)}),
    st.fixed_dictionaries({"type": st.just("boolean"), "runtime": st.booleans()}),
    st.fixed_dictionaries({"type": st.just("date"), "default": st.dates().map(str)}),
    st.fixed_dictionaries({"type": st.just("timestamp"), "default": st.datetimes().map(str)}),
)
SPEC = st.fixed_dictionaries(
    {
        "description": TEXT,
        "tags": st.dictionaries(TEXT.filter(bool), TEXT, max_size=3),
        "parameters": st.dictionaries(NAME, PARAMETER, max_size=4),
        "options": st.dictionaries(TEXT, TEXT, max_size=3),
        "comment": TEXT,
        "values": st.lists(VALUE, min_size=1, max_size=6),
        "delay": st.integers(0, 10**9).map(lambda ms: f"{ms}ms"),
        "python": TEXT,
    }
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SPEC)
def test_writing_and_reading_keeps_the_digest(parts: Data) -> None:
    python = f"def transform(spark, source):\n    return {parts['python']!r}  # \t\n\n"
    spec = parse_pipeline(
        json.dumps(
            {
                "format_version": 1,
                "name": "written",
                **{key: parts[key] for key in ("description", "tags", "parameters")},
                "run": {"retries": {"attempts": 1, "delay": parts["delay"]}},
                "nodes": [
                    {
                        "id": "source",
                        "type": "source",
                        "source": {
                            "kind": "files",
                            "format": "csv",
                            "path": "x",
                            "options": parts["options"],
                        },
                    },
                    {"id": "step", "type": "transform", "step": "spark", "python": python},
                    {
                        "id": "sink",
                        "type": "sink",
                        "table": "a.b",
                        "mode": "overwrite",
                        "properties": {"comment": "x" + parts["comment"]},
                    },
                    {
                        "id": "m",
                        "type": "monitor",
                        "checks": [{"kind": "accepted_values", "column": "c", "values": parts["values"]}] * 2,
                    },
                ],
                "edges": [
                    {"from": "source", "to": "step"},
                    {"from": "step", "to": "sink"},
                    {"from": "sink", "to": "m"},
                ],
            }
        )
    )
    text = dump_yaml(spec)
    again = parse_pipeline(text)
    assert again == spec
    assert digest(again) == digest(spec)
    assert canonical_json(parse_pipeline(canonical_json(spec))) == canonical_json(spec)
    assert digest(parse_pipeline(dump_yaml(again))) == digest(spec)


def test_other_yaml_readers_see_text_as_text(spec_of: Build) -> None:
    spec = spec_of(top(tags={"country": "NO", "switch": "on", "octal": "017", "time": "12:30:45", "plain": "1e5"}))
    assert yaml.safe_load(dump_yaml(spec))["tags"] == dict(spec.tags)
