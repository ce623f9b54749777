"""`drls run` without the engine: what is wrong is said at once, and a failure is said once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drls_dagster.cli.run import Display, show_outcome
from drls_dagster.launch.progress import RunOutcome, StepProgress

EXAMPLE = """
format_version: 1
name: one
parameters: {low: {type: integer, default: 1}}
nodes:
  - {id: raw, type: source, source: {kind: files, format: csv, path: "*.csv"}}
  - {id: part, type: transform, step: spark, sql: "SELECT * FROM raw WHERE id > :low"}
  - {id: out, type: sink, table: sales.out, mode: overwrite}
edges: [{from: raw, to: part}, {from: part, to: out}]
"""
HEAVY = ("dagster", "pyspark", "pyarrow", "pyiceberg", "ray", "pandas")
# Runs command lines one after another in one process, and says which heavy modules each of them has loaded by its end.
SEEN = f"""
import json, sys
from drls_dagster.cli.main import run
for line in json.loads(sys.argv[1]):
    code = run(["run", *line])
    print(json.dumps([code, *(name for name in {HEAVY} if name in sys.modules)]))
"""
WRONG = {
    "--keep-going": "--keep-going needs --each: without --each there is only one run",
    "--param low": "--param 'low' is not name=value",
    "--select nope": "has no step 'nope'; it has: ",
    "--param nope=1": "has no parameter 'nope'; it has: ",
    "--partition 2024": "is not partitioned; remove --partition",
    "--env uat": "is a file, and files run in development; save it and promote it to UAT",
}


def seen(*lines: list[str]) -> tuple[list[list[object]], list[str]]:
    """Exit code and heavy modules of each command line, and the lines on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", SEEN, json.dumps(lines)], capture_output=True, text=True, check=True, timeout=100
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.splitlines()


def test_wrong_flags_are_told_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(EXAMPLE)
    ended, told = seen(*([str(file), *flags.split()] for flags in WRONG))
    assert ended == [[2]] * len(WRONG)
    assert len(told) == len(WRONG)
    for line, words in zip(told, WRONG.values(), strict=True):
        assert line.startswith("Error: ")
        assert words in line


def test_a_name_that_no_pipeline_has_is_told_before_dagster_and_spark_are_loaded() -> None:
    ((code, *loaded),), (told,) = seen(["nobody"])
    assert (code, {"dagster", "pyspark", "ray"} & set(loaded)) == (1, set())
    assert told.startswith("Error: there is no pipeline 'nobody' in ")


def failed(message: str) -> RunOutcome:
    check = {"node": "out", "check": "rows", "passed": False, "severity": "blocking", "message": "0 row(s), expected 1"}
    outcome = RunOutcome("r", checks=[check])
    outcome.steps = [
        StepProgress("part", "transform", "done", 1.0),
        StepProgress("out", "sink", "failed", 2.0, message),
    ]
    return outcome


@pytest.mark.parametrize("explain", [False, True])
def test_a_failure_is_in_the_step_s_line_only_where_the_command_s_error_is_about_another(
    capfd: pytest.CaptureFixture[str], explain: bool
) -> None:
    message = "flights.out was not published: rows: 0 row(s), expected 1"
    outcome = failed(message)
    with Display("one", show=True, explain=explain) as display:
        display.update(outcome)
    show_outcome(outcome, said="" if explain else outcome.failure)
    lines = [line.strip() for line in capfd.readouterr().out.splitlines()]
    assert lines[:4] == [
        "✔    1.0 s  part",
        "✘    2.0 s  out" + (f" {message}" if explain else ""),
        "0 of 1 checks passed",
        "✘ rows" + (": 0 row(s), expected 1" if explain else ""),
    ]


def test_an_interrupted_step_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    outcome = failed("interrupted")
    outcome.interrupted = True
    with Display("one", show=True, explain=False) as display:
        display.update(outcome)
    assert "out interrupted" in capfd.readouterr().out
