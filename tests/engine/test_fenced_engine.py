"""What the code of a pipeline can reach in the real engine: its own run, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psutil
import pytest
from lab import Lab, files, python, ray, sink, wait_for

from drls_dagster.engine import client
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.session import EngineSession, session
from drls_dagster.engine.state import EngineState
from drls_dagster.engine.step_hosts import STEP_MARK
from drls_dagster.fences import enter

pytestmark = pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock")

# Runs where a pipeline's code does. Its own text, so that it needs no module there.
TRY = """
def attempt(given):
    import ctypes, os, socket
    def ptrace():
        if ctypes.CDLL(None, use_errno=True).ptrace(16, given["driver"], 0, 0) != 0:
            raise PermissionError(1, "ptrace")
    tried = {
        "secret": lambda: open(given["secret"]).read(),
        "link": lambda: open(given["link"]).read(),
        "store": lambda: open(given["store"], "rb").read(),
        "write": lambda: open(given["home"] + "/new", "w"),
        "staging": lambda: os.listdir(given["staging"]),
        "engine": lambda: open(given["home"] + "/engine/state.json").read(),
        "environ of the driver": lambda: open("/proc/%d/environ" % given["driver"], "rb").read(),
        "environ of the platform": lambda: open("/proc/%d/environ" % given["platform"], "rb").read(),
        "memory": lambda: open("/proc/%d/mem" % given["driver"], "rb").read(1),
        "signal": lambda: os.kill(given["driver"], 0),
        "trace": ptrace,
        "raylet": lambda: socket.socket(socket.AF_UNIX).connect(given["raylet"]),
    }
    said = {}
    for name, act in tried.items():
        try:
            act()
            said[name] = "went through"
        except (PermissionError, FileNotFoundError):  # the home may look empty
            said[name] = "refused"
        except OSError as error:  # and is read-only then
            said[name] = "refused" if error.errno == 30 else repr(error)
        except Exception as error:
            said[name] = repr(error)
    secret = ("RAY_", "AWS_", "DRLS_", "_SPARK", "SPARK_CONNECT")
    known = {line.split("=")[0] for line in open("/proc/self/environ").read().split(chr(0))} | set(os.environ)
    said["variables"] = [name for name in known if name.startswith(secret) and name not in given["marks"]]
    return said
"""


def aims(lab: Lab, state: EngineState) -> dict[str, Any]:
    secret, link = lab.settings.home / "a-secret", lab.landing / "link"
    secret.write_text("sesame")
    link.symlink_to(secret)
    sockets = [one.laddr for one in psutil.net_connections("unix") if str(one.laddr).endswith("raylet")]
    return {
        "home": str(lab.settings.home),
        "secret": str(secret),
        "link": str(link),
        "store": str(lab.settings.home / "runs.db"),
        "staging": lab.settings.staging,
        "driver": state.pid,
        "platform": os.getpid(),
        "raylet": str(sockets[0]),
        "marks": ["DRLS_ENGINE_ID", STEP_MARK],
    }


def assert_refused(told: dict[str, Any]) -> None:
    assert told.pop("variables") == []
    assert set(told.values()) == {"refused"}, told


def in_udf(opened: EngineSession, python: str, expression: str) -> Any:
    """What an expression is in a Python worker of the session."""
    from pyspark.sql.connect.functions import udf
    from pyspark.sql.types import StringType

    names: dict[str, Any] = {"__name__": "__main__"}
    exec(f"{python}\ndef told(_):\n    import json, os\n    return json.dumps({expression})", names)  # noqa: S102
    (row,) = opened.spark.range(1).select(udf(names["told"], StringType())("id")).collect()
    return json.loads(row[0])


def test_a_udf_reaches_nothing_of_the_platform_or_the_engine(lab: Lab) -> None:
    given = aims(lab, client.ensure_engine(lab.settings))
    assert_refused(in_udf(lab.session, TRY, f"attempt({given!r})"))


def test_a_process_function_reaches_nothing_of_the_platform_or_the_engine(lab: Lab) -> None:
    given = aims(lab, client.ensure_engine(lab.settings))
    python = (
        f"{TRY}\nimport json, pyarrow as pa\ndef process(batch):\n"
        f"    return pa.table({{'said': [json.dumps(attempt({given!r}))]}})"
    )
    lab.file("a.csv", "id\n1\n")
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        ray("worked", python, said="string"),
        sink("out", lab.named("out"), "overwrite"),
        flow="raw>worked>out",
    )
    lab.prepare(text).sink("out")
    ((said,),) = lab.rows("out")
    assert_refused(json.loads(said))


WORKER = "{'pid': os.getpid(), 'tmp': os.environ['TMPDIR'], 'note': open(os.environ['TMPDIR'] + '/a', 'w').write('x')}"


@pytest.mark.slow
def test_two_sessions_share_no_python_worker(lab: Lab) -> None:
    client.ensure_engine(lab.settings)
    with session(lab.settings) as other:
        theirs, ours = in_udf(other, "", WORKER), in_udf(lab.session, "", WORKER)
        assert theirs["tmp"] != ours["tmp"]
        assert psutil.Process(theirs["pid"]).ppid() != psutil.Process(ours["pid"]).ppid()
        reach = f"""
def reach():
    import os
    said = []
    for act in (lambda: open({theirs["tmp"] + "/a"!r}), lambda: os.kill({theirs["pid"]}, 0),
                lambda: open("/proc/{theirs["pid"]}/environ", "rb").read()):
        try:
            act()
            said.append("went through")
        except PermissionError:
            said.append("refused")
    return said
"""
        assert in_udf(lab.session, reach, "reach()") == ["refused"] * 3


@pytest.mark.slow
def test_a_killed_launcher_leaves_no_worker_and_the_next_query_works(lab: Lab) -> None:
    state = client.ensure_engine(lab.settings)
    worker = psutil.Process(in_udf(lab.session, "", WORKER)["pid"])
    daemon = worker.parent()
    assert daemon is not None
    launcher = daemon.parent()
    assert launcher is not None
    assert "python_worker.py" in " ".join(launcher.cmdline())
    launcher.kill()
    wait_for("the end of the worker", lambda: not daemon.is_running() and not worker.is_running())
    assert in_udf(lab.session, "", WORKER)["pid"] != worker.pid
    assert client.ensure_engine(lab.settings).engine_id == state.engine_id
    assert processes_of(state.engine_id)


@pytest.mark.slow
@pytest.mark.parametrize(
    "read",
    [
        "spark.read.text({path!r})",
        "spark.read.csv('file://' + {path!r})",
        "spark.sql('SELECT * FROM text.`' + {path!r} + '`')",
    ],
)
def test_what_the_engine_does_not_see_is_named_with_the_setting(lab: Lab, tmp_path: Path, read: str) -> None:
    """The home looks empty to Spark, so that it says there is no such file."""
    lab.file("a.csv", "id\n1\n")
    secret, other = lab.settings.home / "a-secret", tmp_path / "reference.csv"
    secret.write_text("sesame")
    other.write_text("1")
    said = {
        str(secret): "the engine cannot read DRLS_HOME/a-secret: DRLS keeps it for itself, and no setting opens it",
        str(other): str(other),
    }
    for path, words in said.items():
        text = lab.pipeline(
            files("raw", lab.path("*.csv"), id="long"),
            python("step", f"def transform(spark, raw): return {read.format(path=path)}"),
            sink("out", lab.named("out"), "overwrite"),
            flow="raw>step>out",
        )
        ran = lab.run(text)
        assert words in ran.failure
        assert path == str(secret) or "[fence] read in drls.toml" in ran.failure
        assert "sesame" not in ran.failure
    csv = lab.pipeline(
        files("raw", str(secret), id="string"), sink("out", lab.named("out"), "overwrite"), flow="raw>out"
    )
    assert "DRLS_HOME/a-secret is outside of landing and of [sources] roots" in lab.run(csv).failure
