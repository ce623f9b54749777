"""Text becomes values strictly: what YAML hides is refused, and nothing takes long."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from typing import Any

import pytest

from lifecycle.spec import SpecError, parse_pipeline
from lifecycle.spec.reading import read_text

BOMB = "a: &a [x, x]\n" + "\n".join(f"b{i}: &b{i} [*a, *a]" for i in range(10))

REFUSED: dict[str, tuple[str | bytes, str]] = {
    "an empty file": ("", "the file is empty"),
    "only a comment": ("# nothing\n", "the file is empty"),
    "a list": ("- a\n- b\n", "not a mapping"),
    "a text": ("hello", "not a mapping"),
    "an alias bomb": (BOMB, "line 1: anchors and aliases ('a') are not supported"),
    "an alias": ("a: *b", "anchors and aliases ('b')"),
    "a tag that runs code": ("a: !!python/object/apply:os.system [ls]", "the tag"),
    "a tag of its own": ("a: !secret x", "the tag '!secret' is not supported"),
    "a standard tag": ("a: !!binary aGk=", "the tag"),
    "a key twice": ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' appears twice"),
    "a key twice, further in": ("a:\n  - {x: 1, x: 2}\n", "line 2: the key 'x' appears twice"),
    "a key twice in JSON": ('{"a": {"b": 1, "b": 2}}', "the key 'b' appears twice"),
    "a key that is a list": ("? [a, b]\n: c\n", "a key is not text"),
    "two documents": ("a: 1\n---\nb: 2\n", "two documents"),
    "an open bracket": ("a: [1, 2\nb: 3\n", "not YAML"),
    "a tab": ("a:\n\tb: 1\n", "line 2: this is not YAML"),
    "a deep list": ("a: " + "[" * 60 + "]" * 60, "more than 50 levels"),
    "a very deep list": ("[" * 1_000_000, "more than 50 levels"),
    "a deep block": ("\n".join(" " * i + "- a:" for i in range(0, 300, 2)), "more than 50 levels"),
    "deep JSON": ('{"a":' * 60 + "1" + "}" * 60, "more than 50 levels"),
    "very deep JSON": ('{"a":' * 200_000, "more than 50 levels"),
    "too many bytes": ("a: " + "x" * (5 * 1024 * 1024), "larger than 5 MB"),
    "too many values": ("a: [" + "1," * 300_000 + "]", "more than 200000 values"),
    "too many values in JSON": ('{"a": [' + "1," * 500_000 + "1]}", "more than 200000 values"),
    "no UTF-8": (b"a: \xff\xfe", "line 1: the file is not UTF-8"),
    "a null character": ('a: "\\0"', "a null character"),
    "half a character in JSON": ('{"a": "\\ud800"}', "half a character"),
    "NaN in JSON": ('{"a": NaN}', "NaN is not a number"),
    "an endless number in JSON": ('{"a": 1e999}', "the number 1e999 is too large"),
    "a very long number": ("a: " + "9" * 5000, "is not a value"),
    "a very long number in JSON": ('{"a": ' + "9" * 5000 + "}", "a number is too long"),
    # Finding 21; took 45 s of CPU on 0.1.0: every key was counted once for each key before the double one.
    "a key twice behind many in JSON": (
        "{" + "".join(f'"k{i}":0,' for i in range(60_000)) + '"k59999":1}',
        "the key 'k59999' appears twice",
    ),
    "a key twice behind many": (
        "".join(f"k{i}: 0\n" for i in range(60_000)) + "k59999: 1",
        "line 60001: the key 'k59999' appears twice",
    ),
    "many keys twice": ("{" + "".join(f'"k{i % 30_000}":0,' for i in range(60_000)) + '"k":1}', "the key 'k0' appears"),
    "many anchors": (
        "".join(f"k{i}: &a{i} 0\n" for i in range(60_000)),
        "anchors and aliases ('a0') are not supported",
    ),
    "a day that is not": ("a: 2024-02-31", "'2024-02-31' is not a value"),
}


@pytest.mark.parametrize(("text", "part"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_pipeline_is_refused_quickly_and_clearly(text: str | bytes, part: str) -> None:
    started = time.process_time()
    with pytest.raises(SpecError) as caught:
        parse_pipeline(text)
    assert time.process_time() - started < 2
    assert part in str(caught.value)
    assert len(str(caught.value)) < 300


def test_more_than_2000_nodes_are_refused_quickly(orders: dict[str, Any]) -> None:
    orders["nodes"] = [{**orders["nodes"][0], "id": f"n{i}"} for i in range(2001)]
    started = time.process_time()
    with pytest.raises(SpecError, match="nodes: there are more than 2000 nodes; split the pipeline"):
        parse_pipeline(json.dumps(orders))
    assert time.process_time() - started < 2


def test_a_partition_listed_twice_among_many_is_found_quickly(orders: dict[str, Any]) -> None:
    """Finding 21; took minutes on 0.1.0."""
    values = [*(f"v{i}" for i in range(150_000)), "v149999"]
    orders["partitions"] = {"kind": "static", "column": "day", "values": values}
    started = time.process_time()
    with pytest.raises(SpecError, match="'v149999' is listed twice"):
        parse_pipeline(json.dumps(orders))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12:30:45", "12:30:45"),
        ("0o17", "0o17"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("2024-01-31", date(2024, 1, 31)),
        ("2024-01-31 6:00:00", datetime(2024, 1, 31, 6)),
        ("2024-01-31T06:00:00Z", datetime(2024, 1, 31, 6, tzinfo=UTC)),
        ("<<", "<<"),
    ],
)
def test_a_plain_scalar_means_what_it_looks_like(text: str, value: object) -> None:
    read = read_text(f"key: {text}")["key"]
    assert read == value
    assert type(read) is type(value)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert read_text("on: 1\nno: 2\n3: 4\n2024-01-31: 5\n") == {"on": 1, "no": 2, "3": 4, "2024-01-31": 5}


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    assert read_text("\ufeffa: 1\r\nb: [x, y]\r\n".encode()) == {"a": 1, "b": ["x", "y"]}


def test_flow_style_yaml_that_begins_like_json_is_read() -> None:
    assert read_text("{a: 1, b: [no]}") == {"a": 1, "b": ["no"]}


def test_a_merge_key_is_only_a_key(orders: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="<<: there is no such field"):
        parse_pipeline(json.dumps({**orders, "<<": {}}))
