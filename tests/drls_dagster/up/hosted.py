"""Jobs of one step for the warm host to execute. Each writes what it saw to the file that its run's tags name."""

import json
import os
import random
import sys
import threading
from pathlib import Path

import dagster as dg
import numpy

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


@dg.job(executor_def=dg.in_process_executor)
def looking() -> None:
    look()


@dg.job(executor_def=dg.in_process_executor)
def staying() -> None:
    stay()
