"""The dbt example as a step, against `dbt build` of the same project on the same rows, with the same DuckDB.

Ours hands the rows over as Parquet, builds and tests behind the fence, checks what was built, and hands the model's
rows on; the plain side is dbt's own command, which finds Parquet files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb

from benchmarks.lab import CHECKOUT, Lab, in_turn, median, seconds
from benchmarks.launched import launched
from benchmarks.report import Line, Side, at_most
from drls_dagster.cli.demo_data import lay_out
from drls_dagster.lakehouse.catalog import load_catalog
from lifecycle.domain.environment import Environment

EXAMPLE = CHECKOUT / "examples" / "dbt"
FACTOR = 1.15
PARAMETERS = {"least_flights": 100}


def run(lab: Lab) -> list[Line]:
    flights = lay_out(Path(lab.settings.landing_for(Environment.DEVELOPMENT)))
    folder = lab.folder / "dbt"
    folder.mkdir()
    shutil.copytree(EXAMPLE, lab.folder / "dbt_step")
    file = lab.folder / "dbt_step" / "delays.yaml"
    lab.engine()
    whole: list[float] = []

    def ours() -> float:
        outcome = launched(lab, file, PARAMETERS)
        whole.append(outcome.seconds)
        (step,) = [one for one in outcome.steps if one.node == "carrier_delays"]
        assert step.seconds is not None
        return step.seconds

    plain = _Plain(folder, flights)
    in_turn(1, ours, plain.build)
    whole.clear()
    a, b = in_turn(lab.times(7, 2), ours, plain.build)
    rows = load_catalog(lab.settings).load_table(("dbt__development", "carrier_delays")).scan().to_arrow()
    if sorted(rows.to_pylist(), key=str) != sorted(plain.rows(), key=str):
        raise RuntimeError("the models are not the same on both sides")
    built = Side("dbt build", b)
    wanted = f"A ≤ {FACTOR:g} × B = {FACTOR * median(b):.1f} s"
    return [
        at_most("dbt", "three models and their tests", Side("the dbt step", a), built, FACTOR * median(b), wanted),
        Line("dbt", "the whole run", Side("DRLS run: files, the step, its table", tuple(whole)), built),
    ]


class _Plain:
    """dbt as a person runs it: a command, on a DuckDB database whose schema `drls` has views on Parquet files."""

    def __init__(self, folder: Path, flights: Path) -> None:
        self._project, self._folder = folder / "delays", folder
        shutil.copytree(EXAMPLE / "delays", self._project)
        self._database = folder / "build.duckdb"
        with duckdb.connect(str(self._database)) as connection:
            connection.execute("CREATE SCHEMA drls")
            for name in ("flights", "airlines"):
                file, csv = folder / f"{name}.parquet", flights / f"{name}.csv"
                read = f"read_csv('{csv}', nullstr = 'NA', sample_size = -1)"
                connection.execute(f"COPY (SELECT * FROM {read}) TO '{file}' (FORMAT parquet)")
                connection.execute(f"CREATE VIEW drls.{name} AS SELECT * FROM read_parquet('{file}')")
        profile = {"type": "duckdb", "path": str(self._database), "threads": os.cpu_count() or 1}
        (folder / "profiles.yml").write_text(json.dumps({"drls": {"target": "drls", "outputs": {"drls": profile}}}))

    def build(self) -> float:
        """Of all of it, as if it had never been built. Raises RuntimeError with its last words when it fails."""
        with duckdb.connect(str(self._database)) as connection:
            for name in ("daily_delays", "carrier_delays"):
                connection.execute(f"DROP TABLE IF EXISTS main.{name}")
        command = [
            *(sys.executable, "-m", "dbt.cli.main", "build", "--no-partial-parse", "--profile", "drls"),
            *("--project-dir", str(self._project), "--profiles-dir", str(self._folder)),
            *("--vars", json.dumps(PARAMETERS)),
        ]
        environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1", "TZ": "UTC"}
        done: list[subprocess.CompletedProcess[str]] = []
        took = seconds(
            lambda: done.append(
                subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self._folder, check=False)
            )
        )
        if done[0].returncode:
            raise RuntimeError(f"dbt build ended with {done[0].returncode}: {done[0].stdout[-1000:]}")
        return took

    def rows(self) -> list[dict[str, object]]:
        with duckdb.connect(str(self._database)) as connection:
            return connection.sql("FROM main.carrier_delays").to_arrow_table().to_pylist()
