"""D7, D13: a run that is killed with its machine is resumed from another home, with an engine and files of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import build_reconstructable_job
from lab import ENVIRONMENT, edges, files, python, ran_of, ray, sink

from drls_dagster.asset_keys import node_key
from drls_dagster.dagster_private.tags import RESUME_RETRY_TAG
from drls_dagster.engine import client
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.ledger import open_ledger
from drls_dagster.settings import Settings, load_settings
from lifecycle.spec import load_pipeline
from tests.postgres_server import running_postgres

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(1500)]

ONE, TWO = (f"shop__{ENVIRONMENT}", "one"), (f"shop__{ENVIRONMENT}", "two")
# As long as the marker is there, Spark takes minutes to write a row.
SLOW = """
def transform(spark, worked):
    import os
    seconds = 300 if os.path.exists({marker!r}) else 0
    slow = f"reflect('java.lang.Thread', 'sleep', CAST({{seconds * 1000}} AS BIGINT))"
    return worked.selectExpr("id", f"CAST({{slow}} AS STRING) AS x")
"""
RUN = """
import sys
import dagster as dg
from test_d7_two_homes import job
home, file, folder = sys.argv[1:]
with dg.DagsterInstance.local_temp(folder) as instance, dg.execute_job(job(home, file), instance):
    pass
"""


def job(home: str, file: str) -> Any:
    return build_reconstructable_job("lab", "job_of", (), {"path": file, "home": home}, str(Path(__file__).parent))


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """What both machines reach."""
    folder = tmp_path / "shared"
    (folder / "landing").mkdir(parents=True)
    (folder / "dagster").mkdir()
    return folder


@pytest.fixture
def homes(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, Settings]]:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    with running_postgres() as server:
        text = (
            f'landing = "{shared}/landing"\n[lifecycle]\nurl = "{server.fresh_database()}"\n'
            f'[catalog]\nuri = "sqlite:///{shared}/catalog/catalog.db"\nwarehouse = "{shared}/warehouse"\n'
            "[engine]\nstart_seconds = 900\n"
        )
        made: list[Settings] = []
        for name in ("one", "two"):
            home = tmp_path / name
            home.mkdir(mode=0o700)
            (home / "drls.toml").write_text(text)
            made.append(load_settings(home))
        one, two = made
        try:
            yield one, two
        finally:
            for each in made:
                client.stop(each, force=True)
                open_ledger(each).close()


def until(what: str, condition: Callable[[], object], seconds: float, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"the run ended while the test waited for {what}"
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)


def test_d7_d13_a_run_killed_on_one_machine_is_resumed_from_another(
    homes: tuple[Settings, Settings], shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = homes
    marker = shared / "marker"
    marker.touch()
    (shared / "landing" / "a.csv").write_text("id\n1\n")
    nodes = [
        files("raw", "*.csv", id="long"),
        ray("worked", "def process(batch): return batch", id="long"),
        python("slow", SLOW.format(marker=str(marker))),
        sink("one", "shop.one", repeat=True),
        sink("two", "shop.two", repeat=True),
    ]
    flow = edges("raw>worked>one, worked>slow>two")
    file = shared / "pipeline.json"
    spec = {"format_version": 1, "name": "both", "nodes": nodes, "edges": flow}
    file.write_text(json.dumps(spec))
    catalog, ledger = load_catalog(two), open_ledger(two)

    def branches(table: tuple[str, str]) -> set[str]:
        return set(catalog.load_table(table).metadata.refs) - {"main"} if catalog.table_exists(table) else set()

    def rows(table: tuple[str, str]) -> list[int]:
        return sorted(catalog.load_table(table).scan(selected_fields=("id",)).to_arrow()["id"].to_pylist())

    with dg.DagsterInstance.local_temp(str(shared / "dagster")) as instance:
        assert instance.get_runs() == []
        with (shared / "first.log").open("wb") as log:
            first = subprocess.Popen(
                [sys.executable, "-c", RUN, str(one.home), str(file), str(shared / "dagster")],
                env={**os.environ, "DRLS_HOME": str(one.home), "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=log,
                stderr=log,
            )
        try:
            until("the write", lambda: ledger.branches(".".join(TWO)) and branches(TWO), 1000, first)
        except AssertionError as error:
            pytest.fail(f"{error}: {(shared / 'first.log').read_text()[-3000:]}")
        finally:
            first.kill()
            first.wait(30)
        # The machine is lost, with what only its disk had.
        client.stop(one, force=True)
        shutil.rmtree(one.home / "staging")
        assert rows(ONE) == [1]
        (run,) = instance.get_runs()
        assert not run.is_finished
        instance.report_run_failed(run, "its machine was lost")  # as Dagster's run monitoring says it

        marker.unlink()
        (shared / "landing" / "b.csv").write_text("id\n2\n")  # D1: later than the pin
        monkeypatch.setenv("DRLS_HOME", str(two.home))
        with dg.execute_job(
            job(str(two.home), str(file)),
            instance,
            tags={RESUME_RETRY_TAG: "true"},
            reexecution_options=dg.ReexecutionOptions.from_failure(run.run_id, instance),
        ) as result:
            loaded = load_pipeline(file)
            keys = {
                node_key(loaded, node.id, ENVIRONMENT, two.catalog.name): node.id
                for node in loaded.nodes
                if node.type != "monitor"
            }
            resumed = ran_of(result, keys)
        logs = [entry.user_message for entry in instance.all_logs(resumed.run_id)]

    assert resumed.success, resumed.failures
    assert (rows(ONE), rows(TWO)) == ([1], [1])
    assert "two" in resumed.tables
    assert "one" not in resumed.tables, "it was published by the first machine"
    assert any("cannot be reached from here; it runs again" in text for text in logs)
    assert branches(TWO) == set()
    assert [one.here for one in ledger.branches()] == [False], "nobody can say that the lost engine writes no more"
