"""The marked cells of a marimo notebook as a pipeline: what becomes a node, and what is refused with cell and line."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

from lifecycle.spec import PipelineSpec, SpecError, dump_yaml, parse_pipeline
from lifecycle.spec.from_notebook import pipeline_from_notebook
from lifecycle.spec.notebook_cells import MAX_NOTEBOOK, read_cells

EXAMPLE = Path(__file__).parents[3] / "examples/notebooks/late_days.py"
IMPORTS = """
import marimo as mo
import pyarrow as pa
import drls_dagster as drls
"""
SOURCE = '# drls: source\ndays = drls.read("flights.daily")'
SINK = "# drls: sink {table: flights.out, mode: overwrite}\n"
SQL = f'# drls: sql\n{SINK}out = mo.sql(f"""SELECT day FROM days""")'
RAY = "# drls: ray {output_schema: {day: date}}\n" + SINK


def notebook(*cells: str, before: str = "") -> str:
    """The text of one with these cells, as marimo writes it."""
    parts = ["import marimo\n\napp = marimo.App()\n", before]
    parts += [
        f"@app.cell\ndef _():\n{indent(dedent(cell).strip(), '    ')}\n    return\n" for cell in (IMPORTS, *cells)
    ]
    return "\n\n".join(parts)


def of(*cells: str, before: str = "", name: str = "out") -> PipelineSpec:
    return pipeline_from_notebook(notebook(*cells, before=before), name)


def node(spec: PipelineSpec, name: str) -> Any:
    return spec.node(name)


def test_the_example_is_a_pipeline_whose_file_says_the_same() -> None:
    spec = pipeline_from_notebook(EXAMPLE.read_text(), "late_days")
    assert parse_pipeline(dump_yaml(spec)) == spec
    assert [one.id for one in spec.nodes] == [
        "delays",
        "days",
        "late_days",
        "late_days_table",
        "late_days_table_checks",
    ]
    assert spec.automation == "on_new_data"
    assert [(one.from_, one.to) for one in spec.edges][:2] == [("delays", "days"), ("days", "late_days")]
    assert node(spec, "delays").source.table == "flights.daily_delays"
    assert node(spec, "late_days").python.startswith(
        "import pyarrow as pa\nimport pyarrow.compute as pc\n\n\ndef process(days):"
    )


def test_the_python_of_a_cell_does_in_a_pipeline_what_it_does_in_the_notebook() -> None:
    pa = pytest.importorskip("pyarrow")
    spec = pipeline_from_notebook(EXAMPLE.read_text(), "late_days")
    names: dict[str, Any] = {}
    exec(node(spec, "late_days").python, names)  # noqa: S102 (an example of this repository)
    rows = pa.table({"day": [1, 2], "flights": [3, 4], "mean_delay": [14.0, 16.0]})
    assert names["process"](rows)["late"].to_pylist() == [False, True]


def test_it_reads_the_cells_that_marimo_reads() -> None:
    parse = pytest.importorskip("marimo._ast.parse").parse_notebook
    text = notebook(
        SOURCE,
        SQL,
        before='with app.setup:\n    import json\n\n@app.function\ndef f(a):\n    """# drls: x"""\n    return a\n',
    )
    for one in (text, EXAMPLE.read_text()):
        theirs = parse(one).cells
        ours = read_cells(one)
        assert len(ours) == len(theirs)
        # Theirs is sometimes the line of the decorator, sometimes the one below it.
        assert all(their.lineno - our.line in (0, 1) for our, their in zip(ours, theirs, strict=True))
    assert len(read_cells(text)) == 5


def test_a_table_a_query_and_a_sink_keep_their_names() -> None:
    spec = of(SOURCE, SQL)
    assert node(spec, "out").sql == "SELECT day FROM days"
    assert (node(spec, "out_table").table, node(spec, "out_table").mode) == ("flights.out", "overwrite")


@pytest.mark.parametrize("form", ["", ".to_arrow()", ".to_pandas()", ".to_duckdb()"])
def test_a_source_is_a_table_in_whatever_form(form: str) -> None:
    spec = of(f'# drls: source {{read: incremental}}\ndays = drls.read("a.b", env="development"){form}', _appending())
    assert (node(spec, "days").source.table, node(spec, "days").source.read) == ("a.b", "incremental")


def _appending() -> str:
    return SQL.replace("overwrite", "append")


def test_a_source_may_stand_for_files_that_the_notebook_does_not_read() -> None:
    spec = of('# drls: source {kind: files, format: csv, path: "days/*.csv"}\ndays = pa.table({"day": [1]})', SQL)
    assert (node(spec, "days").source.kind, node(spec, "days").source.path) == ("files", "days/*.csv")


def test_a_mark_continues_on_the_comments_below_it_that_are_indented() -> None:
    spec = of(
        SOURCE, SQL.replace("{table: flights.out, mode: overwrite}", "{table: flights.out,\n#   mode: overwrite}")
    )
    assert node(spec, "out_table").table == "flights.out"


def test_functions_of_the_notebook_come_along_with_what_they_need() -> None:
    before = dedent("""
        with app.setup:
            import math

        @app.function
        def half(value, by=2):
            return double(value) / by / by if value else math.nan

        @app.function
        def double(value):
            return value * 2 if value else half(0)
        """)
    spec = of(SOURCE, RAY + "_n = half(len(days))\nout = days.slice(0, int(_n))", before=before)
    names: dict[str, Any] = {}
    exec(node(spec, "out").python, names)  # noqa: S102 (a text of this test)
    assert names["half"](4) == 2
    assert "@app" not in node(spec, "out").python


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ((SOURCE,), "has no downstream|sink"),
        (("x = 1",), "no cell is marked"),
        ((SOURCE, "limit = 3", RAY + "out = days.slice(limit)"), "cell 4 (line 29): it uses 'limit' of cell 3 (line 23)"),
        ((SOURCE, RAY + "out = days.slice(nothing)"), "cell 3 (line 23): it uses 'nothing', which no cell defines"),
        (("other = 1", SQL.replace("days", "other")), "cell 3 (line 22, here line 26): it uses 'other' of cell 2 (line 16)"),
        ((SQL,), "here line 20): it uses 'days', which no cell defines"),
        ((SOURCE, RAY + 'out = drls.read("a.b").to_arrow()'), "it uses drls (drls_dagster), but a node reads the nodes above it"),
        ((SOURCE, RAY + 'from drls_dagster import read as _r\nout = pa.concat_tables([days, _r("a.b")])'), "drls_dagster, but"),
        ((SOURCE, RAY + "out = days\nmo.md('x')"), "it uses mo (marimo), but a pipeline has no page"),
        (('# drls: source\ndays = drls.read("a.b", env="production")', SQL), "remove env="),
        (('# drls: source\ndays = drls.read("a__production.b")', SQL), "cell 2 (line 16): node 'days', source.table: 'a__production.b' is in a namespace reserved"),
        (("# drls: source\ndays = drls.read(__file__)", SQL), "no plain name of a table"),
        (('# drls: source\ndays = drls.read("a.b", columns=["day"])', SQL), "columns=… of drls.read is not kept"),
        (('# drls: source\ndays = pa.table({"a": [1]})', SQL), "a source cell is one assignment of drls.read"),
        (('# drls: source {kind: iceberg, table: a.b, id: x}\ndays = 1', SQL), "the mark cannot set id"),
        ((SOURCE, SQL.replace("SELECT day", "SELECT {1 + 1} AS day")), "the SQL has a placeholder"),
        ((SOURCE, SQL.replace('""")', '""", engine=pa)')), "engine=… of mo.sql is not kept"),
        ((SOURCE, SQL.replace("SELECT day FROM", "DROP TABLE")), "cell 3 (line 23, here line 27)"),
        ((SOURCE, SQL.replace("mo.sql", "pa.sql")), "a sql cell is one assignment of mo.sql"),
        ((SOURCE, SQL + "\nmore = 1"), "a node is one variable, but this cell defines out, more"),
        ((SOURCE, SOURCE), "cell 2 (line 16) defines 'days' too"),
        ((SOURCE, RAY + "# drls: sql\nout = days"), "a cell is one node"),
        ((SOURCE, RAY + "out = pa.table({'day': [1]})"), "a ray cell reads one node, not 0"),
        ((SOURCE, SQL, RAY.replace("flights.out", "a.x") + "late = pa.concat_tables([days, out])"), "not 2; join them"),
        ((SOURCE, RAY + "out = days\nyield out"), "does not await or yield"),
        ((SOURCE, SQL, "# drls: sink {table: a.b, mode: append}\nx = 1"), "a sink needs a node"),
        ((SOURCE, SQL.replace("sql\n", "sequel\n")), "there is no mark 'drls: sequel'"),
        ((SOURCE, SQL.replace("sink {", "sink [")), "the fields of the mark"),
        ((SOURCE, SQL.replace("overwrite", "sometimes")), "cell 3 (line 23): node 'out_table', mode"),
        ((SOURCE, SQL, "# drls: pipeline {nodes: []}\nx = 1"), "the mark cannot set nodes"),
        ((SOURCE.replace("days", "Days"), SQL.replace("days", "Days")), "the variable 'Days' names no node"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_node_is_refused_with_its_cell_and_line(cells: tuple[str, ...], said: str) -> None:
    with pytest.raises(SpecError) as raised:
        of(*cells)
    assert any(one in str(raised.value) for one in said.split("|")), str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no marimo notebook"),
        ("# a heading\n\n```python {.marimo}\n1\n```", "not Python"),
        ("def f(:\n", "line 1: this is not Python"),
        ("x = 1\0", "null bytes"),
        ("x = " + "(" * 5_000, "not Python"),
        ("x = " + "-" * 200_000 + "1", "nested too deeply"),
        ("#" * (MAX_NOTEBOOK + 1), "longer than 1,000,000"),
        ("import marimo\napp = marimo.App()\n# drls: source\n", "line 3: the mark '# drls: source' is in no cell"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(SpecError) as raised:
        pipeline_from_notebook(text, "late")
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_marks_in_texts_are_no_marks_and_nothing_is_executed(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    loud = f"import pathlib\npathlib.Path({str(seen)!r}).touch()\n_text = '''\n# drls: sink\n'''"
    of(SOURCE, SQL, loud, before=f"open({str(seen)!r}, 'w')\n")
    assert not seen.exists()


@pytest.mark.parametrize("name", ["../up", "Late", "a" * 64, "late\nnodes: 1", "läte", ""])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="name"):
        of(SOURCE, SQL, name=name)
