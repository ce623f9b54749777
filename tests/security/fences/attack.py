"""A pipeline whose code attacks the platform from Spark's own processes, a Spark function, a UDF, a Ray step and a
command, and what there is."""

from __future__ import annotations

import json
import os
import pty
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from drls_dagster.engine.places import ray_folder, temporary_folder
from drls_dagster.engine.state import read_state
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment
from tests.ending import unless_gone
from tests.security.fences.attack_jar import made_jar
from tests.security.fences.owners import Owner
from tests.waiting import wait_until

ITS_ACCOUNT = "its account"
WHO = """
def who():
    return {"its account": str(list(os.getresuid()))}
"""
ATTEMPTS = Path(__file__).with_name("attempts.py").read_text().partition("if __name__ ==")[0] + WHO
IN_TRANSFORM = """
def by_spark(spark, aims):
    def got_by(read):
        try:
            rows = read().limit(3).collect()
            return repr(rows)[:300] if rows else None
        except Exception:
            return None
    said = {}
    for name, path in {**aims["files"], **aims["links"]}.items():
        said[f"read {name} as text"] = got_by(lambda: spark.read.text("file://" + path))
        said[f"read {name} as bytes"] = got_by(lambda: spark.read.format("binaryFile").load("file://" + path))
        said[f"read {name} by SQL"] = got_by(lambda: spark.sql(f"SELECT * FROM text.`file://{path}`"))
    for name, pid in aims["pids"].items():
        for file in ("environ", "root" + aims["files"]["the secret"], "cwd/drls.toml"):
            said[f"read {file} of {name} by Spark"] = got_by(lambda: spark.read.text(f"file:///proc/{pid}/{file}"))
    for name, path in aims["folders"].items():
        if name in ("the home", "Dagster's storage"):
            said[f"list {name} by Spark"] = got_by(lambda: spark.read.text(f"file://{path}/*"))
            try:
                spark.range(1).write.mode("overwrite").csv(f"file://{path}/made-by-a-pipeline")
                said[f"write to {name} by Spark"] = "written"
            except Exception:
                pass
    return said

def in_the_engine(spark):
    # As a jar of its session: Spark starts a script below its executor, with all the rights of that process.
    spark.range(1).createOrReplaceTempView("one")
    (row,) = spark.sql(f"SELECT TRANSFORM (id) USING '{AIMS['engine script']}' AS (said STRING) FROM one").collect()
    return json.loads(row.said)

def in_a_jar(spark):
    # Spark calls any static method of any class, of its own and of the jars of a session.
    jar = os.path.join(tempfile.mkdtemp(), "attack.jar")
    with open(jar, "wb") as made:
        made.write(bytes.fromhex(AIMS["jar"]))
    spark.addArtifact(jar)
    def called(method, text):
        (row,) = spark.sql(f"SELECT reflect('Attack', '{method}', '{text}') AS said FROM one").collect()
        return None if row.said == "null" else row.said
    said = json.loads(called("ran", AIMS["engine script"]))
    said |= {f"read {name} in Java": called("read", path) for name, path in {**AIMS["files"], **AIMS["links"]}.items()}
    said |= {f"connect to {path} in Java": called("connected", path) for path in AIMS["sockets"]}
    assert called("read", AIMS["engine script"].split()[-1])  # so that a refusal says something
    return said

def transform(spark, raw):
    said = {"by Spark": by_spark(spark, AIMS), "in the engine": in_the_engine(spark), "in a jar": in_a_jar(spark)}
    said["in transform"] = attempts(AIMS) | who()
    return spark.createDataFrame([(place, json.dumps(found)) for place, found in said.items()], "place string, said string")
"""
IN_UDF = """
def transform(spark, raw):
    from pyspark.sql.functions import lit, udf
    def tried():  # as text: a worker loads what is pickled, and not everything can be
        names = {}
        exec(TEXT, names)
        return json.dumps(names["attempts"](AIMS) | names["who"]())
    return raw.limit(1).select(lit("in a UDF").alias("place"), udf(tried)().alias("said"))
"""
IN_PROCESS = """
def process(batch):
    import pyarrow as pa
    return pa.table({"place": ["in process"], "said": [json.dumps(attempts(AIMS) | who())]})
"""
IN_A_COMMAND = """
import pyarrow as pa, pyarrow.parquet as pq
said = json.dumps(attempts(AIMS) | who())
pq.write_table(pa.table({"place": ["in a command"], "said": [said]}), "output/said.parquet")
"""
IN_THE_ENGINE = ("in the engine", "in a jar")
PLACES = ("by Spark", *IN_THE_ENGINE, "in transform", "in a UDF", "in process", "in a command")
# Where code runs in a process of its own.
PROCESSES = PLACES[3:]


def pipeline(aims: dict[str, Any]) -> dict[str, Any]:
    def code(text: str) -> str:
        return f"{ATTEMPTS}\nTEXT = {ATTEMPTS!r}\nAIMS = json.loads({json.dumps(aims)!r})\n{text}"

    source = {
        "kind": "files",
        "format": "csv",
        "path": "attack/*.csv",
        "options": {"header": True},
        "schema": {"id": "long"},
    }
    schema = {"place": "string", "said": "string"}
    union = " UNION ALL ".join(f"SELECT place, said FROM {name}" for name in ("driver", "worker", "ray", "command"))
    return {
        "format_version": 1,
        "name": "attack",
        "nodes": [
            {"id": "raw", "type": "source", "source": source},
            {"id": "driver", "type": "transform", "step": "spark", "python": code(IN_TRANSFORM)},
            {"id": "worker", "type": "transform", "step": "spark", "python": code(IN_UDF)},
            {
                "id": "ray",
                "type": "transform",
                "step": "rayProcess",
                "python": code(IN_PROCESS),
                "output_schema": schema,
            },
            {
                "id": "command",
                "type": "transform",
                "step": "custom",
                "command": ["python", "-c", code(IN_A_COMMAND)],
                "output_schema": schema,
            },
            {"id": "everything", "type": "transform", "step": "spark", "sql": union},
            {"id": "out", "type": "sink", "table": "attack.out", "mode": "overwrite"},
        ],
        "edges": [
            *({"from": "raw", "to": one} for one in ("driver", "worker", "ray", "command")),
            *({"from": one, "to": "everything"} for one in ("driver", "worker", "ray", "command")),
            {"from": "everything", "to": "out"},
        ],
    }


@contextmanager
def laid_out(owner: Owner, pids: dict[str, int]) -> Iterator[dict[str, Any]]:
    """What there is to attack in an owner's home with a running engine, and the rows that the pipeline reads."""
    settings = load_settings(owner.home)
    landing, staging = Path(settings.landing_for(Environment.DEVELOPMENT)), Path(settings.staging)
    others, links = staging / "of-another-run", landing / "attack-links"
    with ExitStack() as stack:
        for folder in (landing / "attack", links, others):
            folder.mkdir(parents=True, exist_ok=True)
            stack.callback(shutil.rmtree, folder)
        (landing / "attack/one.csv").write_text("id\n1\n")
        (others / "rows.csv").write_text("id\n7\n")
        if not (owner.home / "secret").exists():
            (owner.home / "secret").write_text("drls_not_a_token")
            stack.callback((owner.home / "secret").unlink)
        (links / "secret").symlink_to(owner.home / "secret")
        if owner.uid is not None:
            for made in (landing, landing / "attack", landing / "attack/one.csv", links, staging, others):
                os.chown(made, owner.uid, owner.gid)
        ours, theirs = pty.openpty()
        stack.callback(os.close, ours)
        stack.callback(os.close, theirs)
        os.chmod(os.ttyname(theirs), 0o666)  # noqa: S103  also for another account
        script, sockets = stack.enter_context(engine_script(owner, settings, landing / "attack", pids))
        files = {
            "the secret": "secret",
            "the key": "signing-key.pem",
            "the store": "lifecycle.db",
            "the ledger": "runs.db",
        }
        yield {
            "files": {name: str(owner.home / file) for name, file in files.items()},
            "links": {"the secret by a link": str(links / "secret")},
            "folders": {
                "the home": str(owner.home),
                "Dagster's storage": str(owner.home / "dagster"),
                "another run's staging": str(others),
                "the engine": str(owner.home / "engine"),
            },
            "pids": pids,
            "ports": ports_of(settings),
            "terminal": os.ttyname(theirs),
            "engine script": script,
            "sockets": sockets,
            "jar": made_jar().hex(),
        }
        for name in files.values():
            assert (owner.home / name).exists(), name


@contextmanager
def engine_script(
    owner: Owner, settings: Settings, folder: Path, pids: dict[str, int]
) -> Iterator[tuple[str, list[str]]]:
    """A command that tries, in the engine, what engine_attempts.py has, and the sockets that there are to reach."""
    with other_program(owner) as (sockets, shared):
        given = {
            "sockets": sockets,
            "outside": {"the key": str(owner.home / "signing-key.pem"), "the secret": str(owner.home / "secret")},
            "jars": str(settings.home / "jars"),
            "own": str(temporary_folder(settings)),
            "engine": str(ray_folder(settings).parent),
            "pids": pids,
            "shared": shared,
        }
        (folder / "tries.py").write_text(Path(__file__).with_name("engine_attempts.py").read_text())
        (folder / "aims.json").write_text(json.dumps(given))
        yield f"{sys.executable} -I {folder}/tries.py {folder}/aims.json", sockets


@contextmanager
def other_program(owner: Owner) -> Iterator[tuple[list[str], str]]:
    """A program of the owner's account that listens, and its file in the memory that programs share."""
    sockets = [owner.folder / "other.sock", owner.home / "other" / "runs.sock"]
    shared = Path("/dev/shm") / f"drls-test-{uuid.uuid4().hex}"  # noqa: S108
    with ExitStack() as stack:
        (owner.home / "other").mkdir(mode=0o700)
        stack.callback(shutil.rmtree, owner.home / "other")
        for path in sockets:
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(str(path))
            stack.callback(path.unlink)
            listening.listen()
        shared.touch()
        stack.callback(shared.unlink)
        if owner.uid is not None:
            for path in (*sockets, owner.home / "other", shared):
                os.chown(path, owner.uid, owner.gid)
        yield [str(path) for path in sockets], str(shared)


@contextmanager
def web_process(owner: Owner) -> Iterator[int]:
    """`drls serve` of the owner's store; its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "drls_dagster.cli.main", "serve", "--workers", "1", "--port", str(port)]
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    serving = subprocess.Popen(owner.command(command), env=owner.environment(), **quiet)
    try:
        wait_until(lambda: serving.poll() is not None or _listens(port), 120)
        assert serving.poll() is None
        yield serving.pid
    finally:
        serving.terminate()
        serving.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as made:
        return made.connect_ex(("127.0.0.1", port)) == 0


def ports_of(settings: Settings) -> dict[str, int]:
    """Where the processes of the engine listen."""
    state = read_state(settings)
    assert state is not None
    driver = psutil.Process(state.pid)
    return {
        f"{name} at {one.laddr.port}": one.laddr.port
        for process in (driver, *driver.children(recursive=True))
        if (name := unless_gone(process.name, ""))
        for one in unless_gone(partial(process.net_connections, "tcp"), [])
        if one.status == psutil.CONN_LISTEN
    }


Said = dict[str, dict[str, str | None]]


def got_in(said: Said, place: str, *, shows_commands: bool) -> dict[str, str]:
    """What the attempts in a place got, without what SECURITY.md says is left: command lines, where /proc has them."""
    left = "the command of " if place in IN_THE_ENGINE and shows_commands else None
    found = {name: got for name, got in said[place].items() if got is not None and name != ITS_ACCOUNT}
    return {name: got for name, got in found.items() if left is None or not name.startswith(left)}


def said_in(owner: Owner) -> Said:
    """What the pipeline wrote into its table: by place what each attempt got."""
    shown = owner.drls("table", "preview", "attack__development.out", "--json")
    assert shown.returncode == 0, shown.stderr
    return {row["place"]: json.loads(row["said"]) for row in json.loads(shown.stdout)["rows"]}
