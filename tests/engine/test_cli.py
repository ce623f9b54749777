"""The commands that need the engine, as people run them, and the how-tos that tell of them."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab import Lab, files, monitor, sink, sql, wait_for

from drls_dagster.cli.demo_data import lay_out
from drls_dagster.cli.main import run
from lifecycle.domain.environment import Environment

CHECKOUT = Path(__file__).parents[2]
COMMANDS = [
    line
    for page in ("engine.md", "run.md")
    for block in re.findall(
        r"^```sh\n(.*?)^```", (CHECKOUT / "docs/how-to" / page).read_text(), re.DOTALL | re.MULTILINE
    )
    for line in block.splitlines()
]
PIPELINE = """
format_version: 1
name: {name}
parameters: {{low: {{type: integer, default: 1}}}}
nodes:
  - {{id: raw, type: source, source: {{kind: files, format: csv, path: "{folder}/*.csv", options: {{header: true}}}}}}
  - {{id: kept, type: transform, step: spark, sql: "SELECT * FROM raw WHERE id >= :low"}}
  - {{id: out, type: sink, table: {namespace}.out, mode: overwrite}}
  - id: quality
    type: monitor
    checks: [{{kind: row_count, min: 1}}, {{kind: range, column: id, max: 2, severity: warn}}]
edges: [{{from: raw, to: kept}}, {{from: kept, to: out}}, {{from: out, to: quality}}]
"""


@pytest.fixture
def file(lab: Lab, tmp_path: Path) -> Path:
    (lab.landing / "a.csv").write_text("id,name\n1,a\n2,b\n3,c\n")
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE.format(name=lab.name, folder=lab.landing, namespace=lab.ns))
    return path


@pytest.fixture
def _own_dagster_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """`drls run` sets DAGSTER_HOME for its process, which here is that of the tests."""
    monkeypatch.setenv("DAGSTER_HOME", "")


def drls(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "drls_dagster.cli.main", *arguments],
        env={**os.environ, "DRLS_HOME": str(lab.settings.home)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_a_run_tells_programs_what_it_did(lab: Lab, file: Path) -> None:
    done = drls(lab, "run", str(file), "--param", "low=2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (outcome,) = json.loads(done.stdout)
    assert outcome["success"]
    assert [(step["node"], step["state"]) for step in outcome["steps"]] == [("kept", "done"), ("out", "done")]
    (table,) = outcome["tables"]
    assert (table["name"], table["rows"]) == (f"{lab.ns}__development.out", 2)
    assert {check["check"]: check["passed"] for check in outcome["checks"]} == {"row_count": True, "range_id": False}


def test_what_a_pipelines_code_prints_is_on_stderr_beside_the_outcome_and_kept_for_dagster(
    lab: Lab, file: Path
) -> None:
    code = {"python": "def transform(spark, raw):\n    print('printed')\n    return raw\n"}
    text = file.read_text().replace('sql: "SELECT * FROM raw WHERE id >= :low"', json.dumps(code)[1:-1])
    file.write_text(text.replace("parameters: {low: {type: integer, default: 1}}\n", ""))
    done = drls(lab, "run", str(file), "--json")
    assert done.stderr == "printed\n"
    (outcome,) = json.loads(done.stdout)
    (kept,) = (lab.settings.home / "dagster/storage" / outcome["run_id"] / "compute_logs").glob("*.out")
    assert kept.read_text() == "printed\n"


def test_ctrl_c_in_a_run_is_one_line_and_exit_code_130_and_writes_nothing(lab: Lab, file: Path) -> None:
    python = "import time\ndef transform(spark, raw):\n    print('begun')\n    time.sleep(600)\n"
    text = file.read_text().replace('sql: "SELECT * FROM raw WHERE id >= :low"', json.dumps({"python": python})[1:-1])
    file.write_text(text.replace("parameters: {low: {type: integer, default: 1}}\n", ""))
    errors = lab.landing / "errors.txt"
    with errors.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "drls_dagster.cli.main", "run", str(file)],
            # What it prints is to be seen while it runs, whether or not Python was told to write at once.
            env={**os.environ, "DRLS_HOME": str(lab.settings.home), "PYTHONUNBUFFERED": ""},
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
    try:
        wait_for("the pipeline's own code", lambda: "begun" in errors.read_text() or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to all that the command has started
        out, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (process.returncode, errors.read_text().split()) == (130, ["begun", "Error:", "Interrupted."])
    assert "kept interrupted" in out
    assert not lab.catalog.table_exists(lab.identifier("out"))


def test_a_failed_blocking_check_is_exit_code_1_one_line_and_no_table_content(lab: Lab, file: Path) -> None:
    done = drls(lab, "run", str(file), "--param", "low=9")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {lab.ns}__development.out was not published: row_count: 0 row(s), expected")
    assert done.stderr.count("\n") == 1
    assert "✘" in done.stdout
    assert "was not published" not in done.stdout
    assert lab.catalog.load_table(f"{lab.ns}__development.out").current_snapshot() is None


@pytest.mark.slow
def test_a_backfill_with_a_bad_middle_says_which_partition_failed_and_which_were_not_run(lab: Lab) -> None:
    """F12; failed on 0.1.0: neither was said, and there was no way to go on."""
    lab.file("a.csv", "day,n\n2024-01-01,1\n2024-01-02,-1\n2024-01-03,3\n")
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), day="date", n="int"),
        sql("part", "SELECT * FROM raw WHERE day >= :partition_start AND day < :partition_end"),
        sink("out", lab.named("out"), "overwrite_partitions", partition_by=["day"]),
        monitor("quality", {"kind": "range", "column": "n", "min": 0, "name": "positive"}),
        flow="raw>part>out>quality",
        partitions={"kind": "daily", "start": "2024-01-01", "end": "2024-01-04", "column": "day"},
    )
    file = lab.landing / "backfill.json"
    file.write_text(text)
    ended = drls(lab, "run", str(file), "--partition", "all", "--each")
    assert ended.returncode == 1
    assert "1 of 2 runs failed: 2024-01-02; the first: " in ended.stderr
    assert "not run: 2024-01-03; pass --keep-going to run the others when one fails" in ended.stderr
    assert lab.rows("out", "n") == [(1,)]
    kept = drls(lab, "run", str(file), "--partition", "all", "--each", "--keep-going")
    assert kept.returncode == 1
    assert kept.stderr.startswith("Error: 1 of 3 runs failed: 2024-01-02; the first: ")
    assert "not run" not in kept.stderr
    assert kept.stderr.count("\n") == 1
    assert lab.rows("out", "n") == [(1,), (3,)]
    single = drls(lab, "run", str(file), "--partition", "all", "--keep-going")
    assert (single.returncode, single.stderr.count("--keep-going needs --each")) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--env", "uat"], "is a file, and files run in development; save it and promote it to UAT"),
        (["--select", "nope"], "has no step 'nope'"),
        (["--param", "low=x"], "parameter 'low': 'x' is not an integer"),
        (["--partition", "2024"], "is not partitioned"),
    ],
)
def test_wrong_use_is_exit_code_2_and_writes_nothing(
    lab: Lab, file: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", str(file), *arguments]) == 2
    assert told in capsys.readouterr().err
    assert not lab.catalog.table_exists(f"{lab.ns}__development.out")


@pytest.mark.slow
@pytest.mark.usefixtures("_own_dagster_home")
@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_how_tos_run(lab: Lab, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    lay_out(Path(lab.settings.landing_for(Environment.DEVELOPMENT)))
    program, *arguments = shlex.split(command)
    assert program == "drls"
    assert run(arguments) == 0
