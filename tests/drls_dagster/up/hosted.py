"""Jobs of one step for the warm host to execute. Each writes what it saw to the file that its run's tags name."""

import contextlib
import importlib
import json
import os
import random
import socket
import sqlite3
import sys
import threading
from pathlib import Path

import dagster as dg
import numpy

from tests.waiting import wait_until

OUT = "out"
LEFT_BEHIND: list[str] = []  # what a run changes in its own process


@dg.op
def look(context: dg.OpExecutionContext) -> None:
    """What a run finds in its process, and what it would leave to the next one."""
    seen = {
        "before": list(LEFT_BEHIND),
        "module": "hosted_left_behind" in sys.modules,
        "environment": sorted(os.environ),
        "random": [random.random(), float(numpy.random.random())],
        "pid": os.getpid(),
        "session": os.getsid(0),
    }
    LEFT_BEHIND.append(context.run_id)
    sys.modules["hosted_left_behind"] = sys
    os.environ["HOSTED_LEFT_BEHIND"] = context.run_id
    out = Path(context.run.tags[OUT])
    out.with_suffix(".new").write_text(json.dumps(seen))
    out.with_suffix(".new").rename(out)


@dg.op
def stay(context: dg.OpExecutionContext) -> None:
    """Says that it is there, and waits to be interrupted."""
    Path(context.run.tags[OUT]).write_text(str(os.getpid()))
    threading.Event().wait(120)


@dg.op
def meet(context: dg.OpExecutionContext) -> None:
    """Takes what is its own, waits until all runs of the meeting have theirs, and says what it has then.

    Each run's folder has a module of the same name, and says how many meet and where, and where to call.
    """
    own = Path(context.run.tags[OUT])
    sys.path.insert(0, str(own))
    module = importlib.import_module("hosted_own")
    LEFT_BEHIND.append(context.run_id)
    os.environ["HOSTED_LEFT_BEHIND"] = context.run_id
    os.chdir(own)
    with socket.create_connection(("127.0.0.1", module.PORT)) as line, sqlite3.connect("own.db") as database:
        line.sendall(context.run_id.encode())
        database.execute("CREATE TEMP TABLE own (run_id TEXT)")
        database.execute("INSERT INTO own VALUES (?)", [context.run_id])
        together = Path(module.TOGETHER)
        (together / context.run_id).touch()
        wait_until(lambda: len(list(together.iterdir())) == module.RUNS, 240)
        seen = {
            "module": [importlib.import_module("hosted_own").OF, module.__file__],
            "variable": LEFT_BEHIND,
            "environment": os.environ["HOSTED_LEFT_BEHIND"],
            "folder": os.getcwd(),
            "database": database.execute("SELECT run_id FROM own").fetchall(),
            "answer": line.recv(100).decode(),
            "sockets": [name for name in opened() if name.startswith("socket:")],
        }
    (own / "seen.new").write_text(json.dumps(seen))
    (own / "seen.new").rename(own / "seen")


def opened() -> list[str]:
    """What this process has open: sockets by a number that no other socket of the machine has."""
    found: list[str] = []
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists them
            found.append(os.readlink(one))
    return found


@dg.job(executor_def=dg.in_process_executor)
def meeting() -> None:
    meet()


@dg.job(executor_def=dg.in_process_executor)
def looking() -> None:
    look()


@dg.job(executor_def=dg.in_process_executor)
def staying() -> None:
    stay()
