"""`drls_dagster.custom`, in a Python that has nothing but pyarrow and dagster-pipes, and its answers to wrong use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drls_dagster import custom
from drls_dagster.engine.command_messages import Messages, pipes_environment
from drls_dagster.fences.environment import code_environment
from drls_dagster.settings import load_settings
from drls_dagster.steps.command_folder import ROOM, Staged, environment_of, lay_out
from lifecycle.spec import CustomTransform

ONLY = """
import importlib.abc, sys
class Only(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("drls_dagster", "dagster_pipes", "pyarrow", "numpy") and not top.startswith("_sysconfig"):
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Only())
"""


class Here:
    """A step's folder as DRLS lays it out, without a fence."""

    def __init__(self, place: Path) -> None:
        self.place = place
        staged = place.parent / "staged"
        for folder in (place, staged):
            folder.mkdir()
        for number in range(2):
            pq.write_table(pa.table({"id": [number], "name": [f"it's {number}"]}), staged / f"{number}.parquet")
        self.context: dict[str, Any] = {
            "pipeline": "p", "node": "n", "environment": "qa", "run_id": "r", "run_key": "k", "inputs": {},
            "output": {"schema": {"id": "long"}}, "parameters": {"least": 3, "day": "2024-01-01"},
            "partition": {"keys": ["2024-01-01"], "start": "2024-01-01T00:00:00+01:00", "end": "2024-01-02T00:00:00+01:00"},
        }  # fmt: skip
        lay_out(place, {}, {"raw": Staged(str(staged), ("0.parquet", "1.parquet"), {"id": "bigint"})}, self.context)
        self.logged: list[str] = []
        self.messages = Messages(place / ROOM / "messages", self.logged.append)

    @property
    def environment(self) -> dict[str, str]:
        node = CustomTransform(id="n", command=("python",), env={"GIVEN": "1"})
        return environment_of(load_settings(), node, self.place, self.context)

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", ONLY + text]
        done = subprocess.run(
            command, cwd=self.place, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        self.messages.look()
        self.messages.close()
        return done


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path / "place")


@pytest.fixture
def step(here: Here, monkeypatch: pytest.MonkeyPatch) -> custom.Step:
    class Pipes:
        pass

    said = json.loads(Path(here.environment["DRLS_STEP"]).read_text())
    given = said["inputs"]
    here.messages.close()
    return custom.Step("p", "n", "qa", "r", tuple(given), {}, None, said["output"]["folder"], {}, given, Pipes())


def test_a_script_with_pyarrow_and_dagster_pipes_alone_reads_writes_and_reports(here: Here) -> None:
    text = """
from drls_dagster import custom
with custom.step() as step:
    assert (step.pipeline, step.node, step.environment, step.inputs) == ("p", "n", "qa", ("raw",))
    assert step.parameters == {"least": 3, "day": "2024-01-01"}
    assert step.partition.keys == ("2024-01-01",) and step.partition.start.isoformat() == "2024-01-01T00:00:00+01:00"
    assert sorted(step.table("raw")["id"].to_pylist()) == [0, 1]
    step.write(step.batches("raw"))
    step.write(step.table("raw"))
    step.report(rows=4)
    step.report({"rows": 5, "model": "fast"})
    step.check("ok", passed=True)
    step.check("odd", passed=False, severity="WARN", metadata={"n": 1})
    step.log("it goes well")
"""
    done = here.run(text)
    assert done.returncode == 0, done.stderr
    assert here.messages.metadata == {"rows": 5, "model": "fast"}
    assert {one.name: (one.passed, one.blocking) for one in here.messages.checks.values()} == {
        "ok": (True, True), "odd": (False, False)
    }  # fmt: skip
    assert here.logged == ["it goes well"]
    output = here.place / "output"
    assert sorted(file.name[:11] for file in output.iterdir()) == ["part-00000-", "part-00001-"]
    assert pq.read_table(output).num_rows == 4


def test_an_exception_of_a_script_is_named(here: Here) -> None:
    done = here.run("from drls_dagster import custom\nwith custom.step() as step:\n    raise ValueError('no model')\n")
    assert done.returncode == 1
    assert here.messages.raised == "ValueError: no model"


def test_variables_say_the_same_to_other_languages(here: Here) -> None:
    found = here.environment
    assert found["GIVEN"] == "1"
    assert (found["DRLS_PARAM_LEAST"], found["DRLS_PARAM_DAY"], found["DRLS_PARTITION"]) == (
        "3", "2024-01-01", "2024-01-01"
    )  # fmt: skip
    assert found["DRLS_PARTITION_END"] == "2024-01-02T00:00:00+01:00"
    assert not {"DRLS_HOME", "DAGSTER_HOME"} & set(found)
    assert found | pipes_environment(here.place / ROOM / "pipes.json", here.place / ROOM / "messages") == found
    here.messages.close()


def test_a_shell_reads_and_writes_csv_and_reports(here: Here) -> None:
    here.context["output"]["schema"] = {"id": "long", "name": "string", "price": "decimal(10,2)"}
    (here.place / ROOM / "step.json").write_text(json.dumps(here.context))
    text = """
        set -eo pipefail
        step() { python -m drls_dagster.custom "$@"; }
        step read raw | sed '1s/$/,price/; 2,$s/$/,01.50/' | step write
        printf 'id,name,price\\n7,,\\n8,"",3\\n' | step write
        step report model=fast rows=4
        step check ok passed; step check odd failed --warn
    """
    done = subprocess.run(
        ["bash", "-c", text], cwd=here.place, env=here.environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    here.messages.look()
    here.messages.close()
    assert here.messages.metadata == {"model": "fast", "rows": 4}
    assert [one.passed for one in here.messages.checks.values()] == [True, False]
    written = pq.read_table(here.place / "output").sort_by("id").to_pylist()
    assert [tuple(map(str, row.values())) for row in written] == [
        ("0", "it's 0", "1.50"), ("1", "it's 1", "1.50"), ("7", "None", "None"), ("8", "", "3.00")
    ]  # fmt: skip


def test_what_gives_an_arrow_stream_can_be_written(step: custom.Step) -> None:
    database = step.duckdb()
    step.write(database.sql("SELECT id, name FROM raw ORDER BY id"))
    step.write(pa.record_batch({"id": [2], "name": ["x"]}))
    step.write([pa.table({"id": [3], "name": ["y"]}), pa.record_batch({"id": [4], "name": ["z"]})])
    written = pq.read_table(step.output_folder).sort_by("id")
    assert written["id"].to_pylist() == [0, 1, 2, 3, 4]


def test_wrong_use_is_named(step: custom.Step, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError, match=r"there is no input 'row'; there is raw"):
        step.files("row")
    with pytest.raises(TypeError, match="int is nothing that can be written"):
        step.write(3)
    with pytest.raises(ValueError, match="write a table without rows instead"):
        step.write([])
    monkeypatch.delenv("DRLS_STEP", raising=False)
    with pytest.raises(RuntimeError, match="to be run as the command of a custom step"), custom.step():
        pass


def test_the_operators_variables_come_along_and_the_steps_own_win(
    here: Here, drls_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_URL", "hunter22")
    monkeypatch.setenv("NOT_ALLOWED", "x")
    drls_home.mkdir()
    (drls_home / "drls.toml").write_text('[fence]\nenvironment = ["MODEL_URL"]\n')
    assert here.environment["MODEL_URL"] == "hunter22"
    assert "NOT_ALLOWED" not in here.environment
    assert "MODEL_URL" in code_environment(load_settings(), drls_home)
    here.messages.close()
