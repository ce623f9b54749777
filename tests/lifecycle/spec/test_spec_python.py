"""Inline Python is read, never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.spec import Problem

Find = Callable[..., tuple[Problem, ...]]
Data = dict[str, Any]


def spark(text: str) -> Callable[[Data], object]:
    def change(data: Data) -> None:
        data["nodes"][1] = {"id": "daily", "type": "transform", "step": "spark", "python": text}

    return change


def ray(text: str) -> Callable[[Data], object]:
    def change(data: Data) -> None:
        data["nodes"][1] = {
            "id": "daily",
            "type": "transform",
            "step": "rayProcess",
            "python": text,
            "output_schema": {"a": "long"},
        }

    return change


@pytest.mark.parametrize(
    "text",
    [
        "def transform(spark, orders): return orders",
        "def transform(session, *, orders): return orders",
        "def transform(spark, orders, factor=2): return orders",
        "def transform(spark, **frames): return frames['orders']",
        "import re\nPATTERN = re.compile('\\d')\ndef transform(spark, orders):\n    return orders",
    ],
)
def test_spark_python_that_takes_its_inputs_by_name_is_accepted(problems_of: Find, text: str) -> None:
    assert problems_of(spark(text)) == ()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("def transform(spark, orders):\n  retrun 1", "does not compile: invalid syntax (line 2)"),
        (
            "def transfrom(spark, orders): ...",
            "does not define the function transform; write def transform(spark, orders)",
        ),
        ("class A:\n  def transform(spark, orders): ...", "does not define the function transform"),
        ("async def transform(spark, orders): ...", "defines transform as async"),
        ("def transform(): ...", "transform takes no spark"),
        (
            "def transform(spark, order): ...",
            "'order', which is not an upstream node; did you mean 'orders'?",
        ),
        ("def transform(spark): ...", "an edge leads here from 'orders', but transform does not take it"),
        ("def transform(spark, orders, *, others): ...", "'others', which is not an upstream node"),
        ("x = " + "(" * 5000, "does not compile"),
        ("x = " + "-" * 50_000 + "1", "does not compile"),
        ("#" * 100_001, "longer than 100000 characters; move it into a package"),
    ],
)
def test_spark_python_that_cannot_be_called_is_refused(problems_of: Find, text: str, part: str) -> None:
    problems = problems_of(spark(text))
    assert [p for p in problems if (p.node, p.field) == ("daily", "python") and part in str(p)], [
        str(p) for p in problems
    ]


@pytest.mark.parametrize(
    "text", ["def process(batch): return batch", "def process(table, extra=1): ...", "def process(*a): ..."]
)
def test_a_function_on_batches_is_accepted(problems_of: Find, text: str) -> None:
    assert problems_of(ray(text)) == ()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("def proces(batch): ...", "does not define the function process; write def process(batch): …"),
        ("def process(): ...", "process takes no batch"),
        ("def process(batch, orders): ...", "the parameter 'orders'"),
        ("process = lambda batch: batch", "does not define the function process"),
    ],
)
def test_a_function_on_batches_that_cannot_be_called_is_refused(problems_of: Find, text: str, part: str) -> None:
    assert part in "\n".join(map(str, problems_of(ray(text))))


def test_python_is_never_run(problems_of: Find, tmp_path: Any) -> None:
    mark = tmp_path / "ran"
    text = f"open({str(mark)!r}, 'w')\ndef transform(spark, orders): ..."
    assert problems_of(spark(text)) == ()
    assert not mark.exists()
