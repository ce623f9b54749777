"""A step's own Python runs in another process, fenced, with the run's Spark session: what it may do, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from lab import Lab, files, python, sink

from drls_dagster.engine.code_process import Call, CodeFailed, CodeProcess
from drls_dagster.fences import enter
from drls_dagster.settings import FenceSettings, Settings
from tests.ending import unless_gone
from tests.waiting import wait_until

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def host(engine: Settings) -> Iterator[CodeProcess]:
    """One for all tests here; it starts again after those that end it."""
    code = CodeProcess(engine)
    yield code
    code.end()


@pytest.fixture
def ask(lab: Lab, host: CodeProcess) -> Ask:
    """Calls `transform` of a source text with frames; returns the frame."""

    def call(text: str, **inputs: Any) -> Any:
        return host.transform(lab.session, Call("step", text, None, None, None, inputs))

    return call


def rows(frame: Any) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in frame.collect())


def worker(host: CodeProcess) -> psutil.Process:
    """The process that runs the code, below the guard."""
    below = psutil.Process(host.pid).children(recursive=True)
    (found,) = (one for one in below if not one.children())
    return found


def hosts() -> list[psutil.Process]:
    below = psutil.Process().children(recursive=True)
    return [one for one in below if not is_over(one) and "code_host.py" in " ".join(unless_gone(one.cmdline, []))]


def is_over(process: psutil.Process) -> bool:
    return not process.is_running() or unless_gone(process.status, psutil.STATUS_ZOMBIE) == psutil.STATUS_ZOMBIE


LATER = """
def transform(spark, a, b):
    own = spark.range(3).toDF("x")
    once = a.join(own, a.x == own.x).select(a.x, a.name)
    twice = once.join(b, once.x == b.x)
    return twice.select(once.x, b.x.alias("y"), once.name).filter(once.x > 0)
"""


def test_columns_and_joins_find_their_frames_whichever_process_made_them(lab: Lab, ask: Ask) -> None:
    spark = lab.session.spark
    left, other = spark.range(6).toDF("x"), spark.range(2, 4).toDF("x")
    right = spark.createDataFrame([(1, "a"), (2, "b"), (3, "c")], "x long, name string")
    first = ask("def transform(spark, a, b): return a.join(b, a.x == b.x).select(a.x, b.name)", a=left, b=right)
    assert rows(first) == [(1, "a"), (2, "b"), (3, "c")]
    assert rows(first.join(other, first.x == other.x).select(first.x, other.x)) == [(2, 2), (3, 3)]
    third = ask("def transform(spark): return spark.range(5).toDF('x')")
    second = ask(LATER, a=first, b=other)
    assert rows(second) == [(2, 2, "b")]
    assert rows(second.join(third, second.y == third.x).select(second.name, third.x)) == [("b", 2)]


THREE = [(0,), (1,), (2,)]
UDF = """
from pyspark.sql.functions import udf
FACTOR = 7
def times(x): return x * FACTOR
def transform(spark, a): return a.select(udf(times, 'long')('id'))
"""
PANDAS = """
import pandas
def transform(spark, a):
    return spark.createDataFrame(pandas.DataFrame({'x': range(200_000)})).filter('x < 2')
"""
VIEW = """
def transform(spark, a):
    a.createOrReplaceTempView('of_the_code')
    return spark.sql('SELECT max(id) FROM of_the_code')
"""
SUBQUERY = """
def transform(spark, a):
    other = spark.range(2)
    return a.where(a.id > other.agg({'id': 'max'}).scalar())
"""
CONF = """
def transform(spark, a):
    spark.conf.set('spark.sql.session.timeZone', 'Asia/Tokyo')
    return spark.sql('SELECT current_timezone()')
"""
ACTIVE = """
from pyspark.sql import SparkSession
def transform(spark, a):
    assert SparkSession.getActiveSession() is spark is SparkSession.active() is a.sparkSession
    return a
"""
DEEP = """
from pyspark.sql.functions import lit
def transform(spark, a):
    for number in range(120):
        a = a.withColumn(f'c{number}', lit(number))
    return a.select('id', 'c119')
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def transform(spark, a): return a", THREE),
        (PANDAS, [(0,), (1,)]),
        (UDF, [(0,), (7,), (14,)]),
        (VIEW, [(2,)]),
        (SUBQUERY, [(2,)]),
        (CONF, [("Asia/Tokyo",)]),
        ("def transform(spark, a): return a.cache()", THREE),
        ("def transform(spark, a): return a.localCheckpoint()", THREE),
        ("def transform(spark, a): return spark.range(len(a.collect()))", THREE),
        (ACTIVE, THREE),
        (DEEP, [(0, 119), (1, 119), (2, 119)]),
    ],
    ids=["input", "pandas", "udf", "view", "subquery", "conf", "cache", "checkpoint", "collect", "active", "deep"],
)
def test_what_a_function_does_with_its_session_counts_in_the_run(lab: Lab, ask: Ask, text: str, expected: Any) -> None:
    spark = lab.session.spark
    try:
        frame = ask(text, a=spark.range(3))
        assert rows(frame) == expected
        assert rows(ask("def transform(spark, a): return a.limit(100)", a=frame)) == expected
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


OTHER_SESSION = """
import uuid
def transform(spark):
    url = spark.client._builder.url.geturl().replace('http', 'sc').replace(spark.session_id, str(uuid.uuid4()))
    return type(spark)(url).range(1)
"""
KILL = "import os, signal\ndef transform(spark): os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def transform(spark): return 7", "transform() of node 'step' returned int, not a DataFrame"),
        ("def transform(spark): return 1 / 0", "transform() of node 'step' failed: ZeroDivisionError: division by"),
        ("import sys\ndef transform(spark): sys.exit('no')", "transform() of node 'step' failed: SystemExit: no"),
        ("import os\ndef transform(spark): os._exit(3)", "the pipeline's Python ended its process (exit code 3)"),
        (KILL, "the process of the pipeline's Python was killed, most likely because memory ran out"),
        ("import ctypes\ndef transform(spark): ctypes.string_at(0)", "crashed its process (SIGSEGV)"),
        (OTHER_SESSION, "returned a DataFrame of another Spark session"),
    ],
)
def test_an_end_without_a_frame_is_said_and_the_next_call_works(ask: Ask, text: str, told: str) -> None:
    with pytest.raises(CodeFailed) as failed:
        ask(text)
    assert told in str(failed.value)
    assert rows(ask("def transform(spark): return spark.range(1)")) == [(0,)]


def test_what_it_prints_is_passed_on_before_its_frame(ask: Ask, capfd: pytest.CaptureFixture[str]) -> None:
    ask("import sys\ndef transform(spark): print('ü' * 70_000); print('err', file=sys.stderr); return spark.range(1)")
    out, err = capfd.readouterr()
    assert "ü" * 70_000 + "\n" in out
    assert "err\n" in err


def test_processes_that_the_code_leaves_behind_end_with_the_run(ask: Ask, host: CodeProcess, tmp_path: Path) -> None:
    ask(
        "import subprocess\n"
        "def transform(spark):\n"
        "    subprocess.Popen(['sh', '-c', 'setsid sleep 1000 & setsid sleep 1000'], start_new_session=True)\n"
        "    return spark.range(1)"
    )
    first = psutil.Process(host.pid)
    wait_until(lambda: sum("sleep" in unless_gone(one.name, "") for one in first.children(recursive=True)) == 2)
    left = first.children(recursive=True)
    host.end()
    assert all(map(is_over, left))


@pytest.mark.parametrize("which", ["guard", "first"])
def test_a_process_whose_parents_are_killed_ends_as_well(ask: Ask, host: CodeProcess, which: str) -> None:
    ask("def transform(spark): return spark.range(1)")
    working = worker(host)
    guard = working.parent()
    assert guard is not None
    first = psutil.Process(host.pid)
    os.kill(guard.pid if which == "guard" else first.pid, signal.SIGKILL)
    wait_until(lambda: is_over(working) and is_over(guard) and is_over(first))


def test_an_interrupted_run_ends_code_that_never_would(ask: Ask, host: CodeProcess) -> None:
    ask("def transform(spark): return spark.range(1)")
    working = worker(host)
    threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        ask("def transform(spark):\n    while True: pass")
    assert is_over(working)


FENCED = pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock")
ATTEMPTS = (Path(__file__).parents[1] / "security/fences/attempts.py").read_text()


@FENCED
def test_a_step_reaches_nothing_of_the_platform(
    lab: Lab, ask: Ask, host: CodeProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    """The engine's state has Spark's token for everybody; its own session's is all that code gets."""
    home = lab.settings.home
    secret = home / f"secret-{uuid.uuid4().hex}"
    secret.write_text("sesame")
    aims = {
        "files": {
            name: str(home / name) for name in (secret.name, "engine/state.json", "engine/runner.json", "runs.db")
        },
        "folders": {"the home": str(home), "the code of others": str(home / "code")},
        "pids": {"the run's worker": os.getpid(), "the engine": lab.session.engine.pid if lab.session.engine else 0},
        "ports": {},
        "terminal": "/dev/tty",
    }
    ask(f"{ATTEMPTS}\ndef transform(spark): print(json.dumps(attempts({aims!r}))); return spark.range(1)")
    secret.unlink()
    said = json.loads(next(line for line in capfd.readouterr().out.splitlines() if line.startswith("{")))
    assert len(said) > 40
    got = {name: found for name, found in said.items() if found is not None}
    # Its own guard is inside the same fence, with the same variables.
    guard = worker(host).parent()
    assert guard is not None
    assert re.findall(r"'(\d+): ", got.pop("the variables of any process", "")) in ([], [str(guard.pid)])
    assert got == {}


@FENCED
@pytest.mark.parametrize(("mode", "verb"), [("r", "read"), ("a", "write")])
def test_a_refused_file_is_named_with_the_setting_that_allows_it(
    lab: Lab, ask: Ask, tmp_path: Path, mode: str, verb: str
) -> None:
    file = tmp_path / "reference.csv"
    file.write_text("1")
    with pytest.raises(CodeFailed) as failed:
        ask(f"def transform(spark): open('{file}', '{mode}')")
    assert str(failed.value) == (
        f"transform() of node 'step' failed: PermissionError: [Errno 13] Permission denied: '{file}': the fence does "
        f"not let pipeline code {verb} {file}; add its folder to [fence] {verb} in drls.toml"
    )


@FENCED
def test_the_folders_of_the_setting_are_inside_and_spark_is_reached_with_no_other_network(
    lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("4")
    fence = FenceSettings(read=(str(tmp_path),), network="none")
    host = CodeProcess(lab.settings.model_copy(update={"fence": fence}))
    text = f"def transform(spark): return spark.range(int(open('{tmp_path}/in.txt').read()))"
    out = "import socket\ndef transform(spark): socket.create_connection(('127.0.0.1', 9))"
    try:
        assert rows(host.transform(lab.session, Call("step", text, None, None, None, {}))) == [(0,), (1,), (2,), (3,)]
        with pytest.raises(CodeFailed, match="PermissionError"):
            host.transform(lab.session, Call("step", out, None, None, None, {}))
    finally:
        host.end()


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_of_its_code(lab: Lab) -> None:
    lab.file("a.csv", "id\n1\n")
    forever = "import time\ndef transform(spark, raw):\n    print('it runs')\n    time.sleep(1000)"
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        python("step", forever),
        sink("out", lab.named("out"), "overwrite"),
        flow="raw>step>out",
    )
    path = lab.landing / "forever.json"
    path.write_text(text)
    command = [sys.executable, str(Path(__file__).with_name("lab.py")), str(lab.settings.home), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.stdout is not None
        wait_until(lambda: b"it runs" in (run.stdout.readline() if run.stdout else b""), 120)
        below = psutil.Process(run.pid).children(recursive=True)
        assert any("code_host.py" in " ".join(unless_gone(one.cmdline, [])) for one in below)
        run.kill()
    wait_until(lambda: all(map(is_over, below)))
    assert list((lab.settings.home / "private").glob(f"{run.pid}-*/*")) == []


def test_a_run_passes_on_what_its_steps_print_and_says_what_failed(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    before = hosts()
    lab.file("a.csv", "id\n1\n")
    nodes = (files("raw", lab.path("*.csv"), id="long"), sink("out", lab.named("out"), "overwrite"))
    prints = python("step", "def transform(spark, raw):\n    print('in the step')\n    return raw")
    assert lab.run(lab.pipeline(*nodes, prints, flow="raw>step>out")).success
    assert lab.rows("out") == [(1,)]
    assert "in the step" in capfd.readouterr().out
    wrong = python("step", "def transform(spark, raw): return raw.select('gone')")
    ran = lab.run(lab.pipeline(*nodes, wrong, flow="raw>step>out"))
    assert ran.failure == "node 'step', at col: there is no column 'gone'; columns there are: id"
    assert hosts() == before
