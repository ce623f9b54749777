"""`drls.spark`, `run` and `test` on the engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lab import Lab
from lifecycle_lab import LifecycleLab

import drls_dagster as drls
from drls_dagster import settings as settings_module
from drls_dagster.engine.state import live_leases
from drls_dagster.settings import Settings, load_settings
from drls_dagster.traces.sending import sender_of
from lifecycle.domain.environment import Environment
from lifecycle.errors import NotFound
from tests.trace_collector import attributes, collecting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs/how-to/test-a-pipeline.md").read_text()
PLUGIN = "drls_dagster.python_api.pytest_plugin"
# pytest has it by itself once the package was installed with its entry point.
LOADED = any(one.value == PLUGIN for one in entry_points(group="pytest11"))


@pytest.fixture(autouse=True)
def session(engine: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The program's session on the shared engine, closed at the end of each test."""
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    yield
    drls.stop()


def test_a_program_has_one_session_which_keeps_the_engine_until_it_is_closed(engine: Settings) -> None:
    before = live_leases(engine)
    spark = drls.spark()
    assert drls.spark() is spark
    assert live_leases(engine) == before + 1
    assert spark.sql("SELECT 1 AS one").toArrow().to_pylist() == [{"one": 1}]
    assert (
        drls.init_spark("nightly", cores=engine.engine.cores, properties={"spark.sql.shuffle.partitions": 3}) is spark
    )
    assert spark.conf.get("spark.sql.shuffle.partitions") == "3"
    with pytest.raises(drls.UsageError, match=r"spark.executor.cores cannot be set in a session: .*engine.spark_conf"):
        drls.init_spark(properties={"spark.executor.cores": 3})
    drls.stop_spark()
    assert live_leases(engine) == before
    again = drls.spark()
    assert again is not spark
    assert again.conf.get("spark.sql.shuffle.partitions") != "3"


def test_a_frame_of_a_table_stays_at_its_snapshot_and_quotes_its_names(lab: Lab) -> None:
    lab.create("t", id="long", name="string")
    empty = drls.read(lab.named("t"), env="development").to_spark()
    lab.append("t", (1, "a"))
    rows = drls.read(lab.named("t"), env="development", columns=["name"])
    lab.append("t", (2, "b"))
    assert rows.to_spark().toArrow().to_pylist() == [{"name": "a"}]
    assert (empty.columns, empty.count()) == (["id", "name"], 0)


def flow(lab: Lab, least: int) -> drls.Pipeline:
    return (
        drls.Pipeline(lab.name)
        .source("raw", "files", format="csv", path=lab.path("*.csv"), options={"header": "true"}, schema={"id": "long"})
        .sql("some", "SELECT * FROM raw WHERE id > 1")
        .sink("out", lab.named("out"), "overwrite")
        .monitor("enough", {"kind": "row_count", "min": least})
    )


def test_a_run_is_a_value_that_says_where_and_why_it_failed(lab: Lab) -> None:
    lab.file("a.csv", "id\n1\n2\n3\n")
    done = drls.run(flow(lab, 1))
    assert (done.state, done.failed_step, done.message, done.environment) == ("succeeded", None, "", "development")
    assert done.steps == {"some": "done", "out": "done"}
    assert [check["passed"] for check in done.checks] == [True]
    assert done.raise_if_failed() is done
    rows = drls.read(lab.named("out"), env="development")
    assert sorted(rows.to_pandas()["id"]) == [2, 3]
    assert done.tables[0]["snapshot_id"] == rows.snapshot
    failed = drls.run(flow(lab, 9), select="+out")
    assert (failed.state, failed.failed_step) == ("failed", "out")
    assert failed.run_id != done.run_id
    assert "2 row(s), expected at least 9" in failed.message
    with pytest.raises(drls.DrlsError, match=rf"run {failed.run_id} of {lab.name} failed, step 'out': "):
        failed.raise_if_failed()
    assert drls.read(lab.named("out"), env="development").snapshot == rows.snapshot


def test_a_run_above_development_goes_through_the_gate(life: LifecycleLab, monkeypatch: pytest.MonkeyPatch) -> None:
    life.file("a.csv", "id\n1\n2\n")
    monkeypatch.setenv("DRLS_TOKEN", life.tokens["ada"])
    saved = drls.save(flow(life, 1))
    with pytest.raises(NotFound, match="promote one"):
        drls.run(life.name, env="qa")
    life.promote(saved.number, Environment.QA)
    with collecting() as collector:
        monkeypatch.setenv("DRLS_TRACES__ENDPOINT", collector.url)
        settings_module._load.cache_clear()
        done = drls.run(life.name, env="qa").raise_if_failed()
        sender = sender_of(load_settings())
        assert sender is not None
        sender.flush()
        monkeypatch.delenv("DRLS_TRACES__ENDPOINT")
        settings_module._load.cache_clear()
    names = {one.span_id: one.name for one in collector.spans}
    assert {one.name: names.get(one.parent_span_id) for one in collector.spans} == {
        "launch run": None, "run admit": "run", "run": "launch run", "transform some": "run", "sink out": "run",
        "source raw": "run", "check out": "sink out", "run publish": "sink out", "permit": "run publish",
        "compare and set": "run publish", "receipt": "run publish", "run finish": "launch run",
    }  # fmt: skip
    assert len({one.trace_id for one in collector.spans}) == 1
    assert attributes(collector.named("sink out"))["drls.rows"] == 1
    with life.ctx.store.read() as view:
        found = view.pipelines.find(life.name)
        assert found is not None
        admission = view.runs.admission(done.run_id, found.id)
    assert admission is not None
    assert admission.environment is Environment.QA


# Unit tests of pipelines


STEPS = """
def transform(spark, raw):
    from pyspark.sql import functions as f
    return raw.withColumn("double", f.col("id") * 2)
"""
BATCHES = """
def process(batch):
    return batch.select(["id"])
"""


def steps() -> drls.Pipeline:
    return (
        drls.Pipeline("steps", parameters={"least": {"type": "integer", "default": 1}})
        .source("raw", "iceberg", table="ns.raw")
        .python("doubled", STEPS)
        .sql("some", "SELECT id, double FROM doubled WHERE id >= :least")
        .ray("ids", BATCHES, {"id": "long"}, after="some")
        .sink("out", "ns.out", "merge", keys=["id"])
        .monitor("ok", drls.spec.Unique(columns=("id",)), drls.spec.RowCount(max=5, severity="warn"))
        .monitor("above", drls.spec.Range(column="double", max=100), on="doubled")
    )


def test_sql_python_and_ray_steps_run_on_given_rows_and_write_nothing(lab: Lab, engine: Settings) -> None:
    staging = Path(engine.staging)
    before = {path.name for path in staging.glob("test-*")}
    tested = drls.test(
        steps(),
        {"raw": [{"id": 1}, {"id": 2}, {"id": 3}]},
        {"some": [{"id": 3, "double": 6}, {"id": 2, "double": 4}], "out": [{"id": 2}, {"id": 3}]},
        parameters={"least": 2},
    )
    assert sorted(row["double"] for row in tested.rows("doubled")) == [2, 4, 6]
    assert {name: one.passed for name, one in tested.checks.items()} == dict.fromkeys(tested.checks, True)
    assert set(tested.checks) == {"ok.unique_id", "ok.row_count", "above.range_double"}
    tested.close()
    assert {path.name for path in staging.glob("test-*")} == before
    assert not [one.name for one in drls.spark().catalog.listTables() if one.name.startswith("drls_")]
    assert ("ns",) not in lab.catalog.list_namespaces()
    assert ("ns__development",) not in lab.catalog.list_namespaces()


def test_a_failing_check_is_expected_or_told_with_its_rows() -> None:
    given = {"some": [{"id": 1, "double": 2}, {"id": 1, "double": 3}], "doubled": [{"id": 1, "double": 300}]}
    tested = drls.test(steps(), {"doubled": given["doubled"]}, failing=["range_double"])
    tested.close()
    with pytest.raises(AssertionError) as caught:
        drls.test(steps(), {"doubled": given["doubled"]})
    assert str(caught.value) == "check 'above.range_double' on 'doubled' fails: 1 row(s) fail\n  double=300, id=1"
    with pytest.raises(AssertionError, match=r"check 'ok.row_count' was expected to fail, and it passes: 1 row"):
        drls.test(steps(), {"doubled": given["doubled"]}, failing=["range_double", "row_count"])
    skipping = drls.test(steps(), {"doubled": given["doubled"]}, skip=["above.range_double"])
    assert "above.range_double" not in skipping.checks
    skipping.close()


def test_a_test_meets_the_rules_of_the_sink_and_the_errors_of_the_steps() -> None:
    twins = [{"id": 1}, {"id": 1}]
    with pytest.raises(drls.DrlsError, match=r"^sink 'out': the result has several rows with the same id; merge needs"):
        drls.test(steps(), {"ids": twins}, {"out": twins})
    wrong = drls.Pipeline("wrong").source("a", "iceberg", table="n.a").sql("b", "SELECT nope FROM a")
    wrong = wrong.sink("c", "n.c", "overwrite")
    with pytest.raises(drls.DrlsError, match=r"node 'b'.*nope") as caught:
        drls.test(wrong, {"a": [{"x": 1}]}, {"c": []})
    assert "\n" not in str(caught.value)
    failing = drls.Pipeline("failing").source("a", "iceberg", table="n.a")
    failing = failing.python("b", "def transform(spark, a):\n    raise ValueError('on purpose')\n").sink(
        "c", "n.c", "overwrite"
    )
    with pytest.raises(drls.DrlsError, match="on purpose"):
        drls.test(failing, {"a": [{"x": 1}]}, {"c": []})


def test_a_partition_has_its_rows_alone() -> None:
    daily = (
        drls.Pipeline(
            "daily", partitions={"kind": "daily", "start": "2026-03-01", "end": "2026-03-05", "column": "day"}
        )
        .source("raw", "iceberg", table="n.raw")
        .sql("of_day", "SELECT day FROM raw WHERE day >= :partition_start AND day < :partition_end")
        .sink("out", "n.out", "overwrite_partitions", partition_by=["day"])
        .sink("every_day", "n.all_days", "overwrite_partitions", after="raw")
    )
    days = pa.table({"day": pa.array(["2026-03-01", "2026-03-02"]).cast(pa.date32())})
    drls.test(daily, {"raw": days}, {"out": [{"day": "2026-03-02"}]}, partition="2026-03-02").close()
    drls.test(daily, {"raw": days}, {"out": days}, partition="2026-03-01...2026-03-02").close()
    with pytest.raises(
        drls.DrlsError, match="sink 'every_day': a row is outside the run's partition: day = 2026-03-01"
    ):
        drls.test(daily, {"raw": days}, {"every_day": []}, partition="2026-03-02")
    with pytest.raises(drls.UsageError, match="pass partition= KEY"):
        drls.test(daily, {"raw": days})


# The page


def run_pytest(folder: Path, engine: Settings) -> subprocess.CompletedProcess[str]:
    """Tests of somebody's project, in a pytest of their own."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *([] if LOADED else ["-p", PLUGIN]), "tests"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(CHECKOUT), "DRLS_HOME": str(engine.home)},
        check=False, capture_output=True, text=True, timeout=250,
    )  # fmt: skip


def test_the_tutorial_runs_and_shows_what_differs(engine: Settings, tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for text in re.findall(r"```(?:yaml|python)\n(.*?)```", PAGE, re.DOTALL):
        name = re.match(r"# (\S+\.(?:yaml|py))\n", text)
        files[name[1] if name else "notebook.py"] = text
    assert set(files) == {"pipelines/orders.yaml", "tests/test_orders.py", "notebook.py"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    wrong = files["tests/test_orders.py"].replace('"revenue": 15', '"revenue": 16')
    (tmp_path / "tests/test_wrong.py").write_text(wrong)
    done = run_pytest(tmp_path, engine)
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert "1 failed, 5 passed" in done.stdout, done.stdout + done.stderr
    for line in shown.splitlines():
        assert line.strip() in done.stdout
    names: dict[str, Any] = {}
    exec(compile(files["notebook.py"], "notebook.py", "exec"), names)  # noqa: S102 (a page of this repository)
    assert names["tested"].checks["quality.not_null_day"].passed is False


def test_the_package_offers_the_plugin_to_pytest() -> None:
    import tomllib

    offered = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert offered == {"drls": PLUGIN}
