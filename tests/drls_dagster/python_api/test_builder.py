"""`drls.Pipeline`: pipelines written in Python are the pipelines of files, field by field."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

import drls_dagster as drls
from lifecycle.spec import PipelineSpec, digest, dump_yaml, load_pipeline, parse_pipeline
from lifecycle.spec.sources import AnySource
from lifecycle.spec.steps import AnyTransform

CHECKOUT = Path(__file__).parents[3]
FILES = [
    CHECKOUT / "docs/pipeline-example.yaml",
    *sorted((CHECKOUT / "examples").rglob("*.yaml")),
    *sorted((CHECKOUT / "tests/lifecycle/spec/data").glob("*.yaml")),
]
OUTSIDE = 3


def orders() -> drls.Pipeline:
    return (
        drls.Pipeline("orders")
        .source("orders", "iceberg", table="sales.orders")
        .sql("daily", "SELECT day, sum(amount) AS revenue FROM orders GROUP BY day")
        .sink("revenue", "sales.revenue", "merge", keys=["day"])
        .monitor("quality", {"kind": "not_null", "columns": ["day"]})
    )


def replayed(spec: PipelineSpec) -> drls.Pipeline:
    """The spec, built node by node by the methods that people use."""
    fields = {name: getattr(spec, name) for name in BUILT}
    made = drls.Pipeline(spec.name, **fields)
    for node in spec.nodes:
        after = spec.upstream(node.id)
        match node.type:
            case "source":
                made = made.source(node.id, node.source)
            case "monitor":
                made = made.monitor(node.id, *node.checks, on=after[0])
            case "sink":
                values = node.model_dump(by_alias=True, exclude_defaults=True)
                values = {name: value for name, value in values.items() if name not in ("id", "type", "table", "mode")}
                made = made.sink(node.id, node.table, node.mode, after=after, **values)
            case "transform":
                values = node.model_dump(by_alias=True, exclude_defaults=True)
                values = {name: value for name, value in values.items() if name not in ("id", "type", "step")}
                made = made.transform(node.id, node.step, after=after, **values)
    return made


BUILT = [name for name in PipelineSpec.model_fields if name not in ("format_version", "name", "nodes", "edges", "lock")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CHECKOUT)))
def test_every_example_is_the_same_when_it_is_built_in_python_and_written_to_a_file(file: Path, tmp_path: Path) -> None:
    spec = load_pipeline(file)
    for made in (replayed(spec), drls.Pipeline.of(spec)):
        assert digest(made.spec()) == digest(spec)
        assert load_pipeline(made.write(tmp_path / "made.yaml")) == made.spec()
        assert made.yaml() == dump_yaml(made.spec())


def test_the_builder_takes_every_field_of_a_pipeline() -> None:
    given = list(inspect.signature(drls.Pipeline).parameters)
    assert given == ["name", *BUILT]


def test_kinds_are_those_of_the_spec_classes_by_name_and_as_objects() -> None:
    for union, tag, add in (
        (AnySource, "kind", lambda kind: drls.Pipeline("p").source("a", kind)),
        (AnyTransform, "step", lambda kind: drls.Pipeline("p").transform("a", kind)),
    ):
        for one in get_args(get_args(union)[0]):
            add(one.model_fields[tag].default)
            assert getattr(drls.spec, one.__name__) is one
    added = drls.Pipeline("p").source("made", drls.spec.RateSource(rows_per_second=5))
    added = added.add(drls.spec.SparkTransform(id="same", sql="SELECT * FROM made"))
    added = added.add(drls.spec.SinkNode(id="out", table="ns.t", mode="overwrite"))
    added = added.add(drls.spec.MonitorNode(id="ok", checks=(drls.spec.RowCount(min=1),)))
    assert [(edge.from_, edge.to) for edge in added.spec().edges] == [("made", "same"), ("same", "out"), ("out", "ok")]


def test_sql_reads_the_nodes_that_it_names_wherever_they_are_added() -> None:
    made = (
        drls.Pipeline("p")
        .source("a", "rate")
        .sql("both", "WITH x AS (SELECT * FROM B) SELECT a.value FROM a JOIN x USING (value)")
        .source("b", "rate")
        .sink("out", "ns.t", "overwrite", after="both")
    )
    assert sorted(made.spec().upstream("both")) == ["a", "b"]


def test_a_builder_is_a_value_that_no_later_step_changes() -> None:
    first = orders()
    text = first.yaml()
    first.sink("copy", "sales.copy", "overwrite", after="daily")
    assert first.yaml() == text


def scored(spark: Any, orders: Any) -> Any:
    from pyspark.sql import functions as f

    def positive(column: str) -> Any:
        return f.col(column) > 0

    return orders.where(positive("amount"))


def test_a_function_becomes_source_text_that_runs_alone() -> None:
    made = orders().python("good", scored, after="orders").sink("copy", "sales.good", "overwrite")
    (node,) = (node for node in made.spec().transforms if node.id == "good")
    names: dict[str, Any] = {}
    exec(node.python, names)  # noqa: S102 (what the step does)
    assert list(inspect.signature(names["transform"]).parameters) == ["spark", "orders"]
    by_name = orders().python("good", "pkg.mod:score", after="orders").definition()["nodes"][-1]
    assert by_name == {"id": "good", "type": "transform", "step": "spark", "entrypoint": "pkg.mod:score"}
    text = "def transform(spark, orders):\n    return orders\n"
    assert orders().python("good", text, after="orders").definition()["nodes"][-1]["python"] == text


def uses_the_module(spark: Any, orders: Any) -> Any:
    return orders.limit(OUTSIDE)


def made_around(limit: int) -> Callable[..., Any]:
    def inner(spark: Any, orders: Any) -> Any:
        return orders.limit(limit)

    return inner


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (uses_the_module, "uses_the_module() uses 'OUTSIDE' of its module"),
        (made_around(1), "inner() uses 'limit' of its module"),
        (lambda spark, orders: orders, "<lambda> is not a function with a name"),
        (print, "print is not a function with a name"),
    ],
)
def test_a_function_whose_text_would_not_run_alone_is_refused(code: Callable[..., Any], told: str) -> None:
    with pytest.raises(drls.UsageError) as caught:
        orders().python("good", code, after="orders")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (
            lambda: drls.Pipeline("p").source("a", "icberg"),
            "there is no source of kind 'icberg'; did you mean 'iceberg'?",
        ),
        (lambda: drls.Pipeline("p").transform("a", "sprak"), "there is no step of kind 'sprak'; did you mean 'spark'?"),
        (
            lambda: orders().source("b", "iceberg", tabel="x.y").spec(),
            "node 'b', source.tabel: there is no such field; did you mean 'table'?",
        ),
        (lambda: orders().sql("bad", "SELEC 1").spec(), "node 'bad', sql: "),
        (lambda: orders().sql("bad", "SELECT * FROM sales.other").spec(), "node 'bad', sql: "),
        (lambda: orders().sink("revenue", "a.b", "overwrite").spec(), "revenue"),
        (
            lambda: drls.Pipeline("p").source("a", drls.spec.RateSource(), rows_per_second=1),
            "pass rows_per_second to RateSource(…)",
        ),
    ],
)
def test_what_is_wrong_is_said_as_for_a_file(build: Callable[[], Any], told: str) -> None:
    with pytest.raises(drls.DrlsError) as caught:
        build()
    assert told in str(caught.value)


def test_saving_a_built_pipeline_makes_the_version_that_its_file_makes(tmp_path: Path) -> None:
    saved = drls.save(orders(), "from Python")
    assert (saved.pipeline, saved.number, saved.message) == ("orders", 1, "from Python")
    again = drls.save(orders().write(tmp_path / "orders.yaml"))
    assert (again.number, again.digest) == (1, saved.digest)
    assert drls.save(parse_pipeline(orders().yaml())).number == 1
    with pytest.raises(drls.UsageError, match="not int"):
        drls.save(1)  # type: ignore[arg-type]
