"""The launcher that Spark starts instead of Python; it fences what it becomes (python_worker.py)."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from drls_dagster.engine import python_worker
from drls_dagster.engine.processes import MARK
from drls_dagster.fences import enter
from drls_dagster.fences.environment import code_environment
from drls_dagster.fences.fence import Account
from drls_dagster.fences.fences import code_fence
from drls_dagster.fences.reach import let_pass
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings

# What Spark says to its Python in the environment. No token, no secret but the one of this very worker.
_SPARK = (
    *(
        "PYTHON_WORKER_FACTORY_SECRET",
        "PYTHON_WORKER_FACTORY_PORT",
        "PYTHON_UNIX_DOMAIN_ENABLED",
        "PYTHON_UDF_BATCH_SIZE",
    ),
    *(
        "PYTHON_FAULTHANDLER_DIR",
        "PYTHON_DAEMON_KILL_WORKER_ON_FLUSH_FAILURE",
        "PYTHON_TRACEBACK_DUMP_INTERVAL_SECONDS",
    ),
    *(
        "SPARK_JOB_ARTIFACT_UUID",
        "SPARK_REUSE_WORKER",
        "SPARK_BUFFER_SIZE",
        "SPARK_AUTH_SOCKET_TIMEOUT",
        "SPARK_TESTING",
    ),
    *("SPARK_SIMPLIFIED_TRACEBACK", "SPARK_PREFER_IPV6", "SPARK_HOME", "SPARK_ENV_LOADED", "SPARK_LOCAL_IP"),
    *("PYSPARK_EXECUTOR_MEMORY_MB", "PYSPARK_RUNTIME_PROFILE", "ARROW_PRE_0_15_IPC_FORMAT", "PYTHONPATH"),
    *("PYTHONHASHSEED", "PYTHONUNBUFFERED", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", MARK),
)


def _names(account: Account | None) -> dict[str, str]:
    return {} if account is None else {"USER": account.name, "LOGNAME": account.name}


def spark_python(settings: Settings) -> str:
    """The program that Spark starts for its Python workers: the launcher, or Python itself where there is no fence.

    Raises FenceRequired.
    """
    fence = code_fence(settings)
    if fence is None:
        return sys.executable
    # What has to be hidden is hidden in the engine, where nobody can mount.
    fence = replace(fence, hide=(), dies_with_parent=True, own_pids=False)
    folder = private_home(settings.home, "engine")
    tmp = private_home(settings.home, "engine", "tmp")
    let_pass(tmp, fence.account)
    config = {
        "python": sys.executable,
        "enter": str(Path(enter.__file__).resolve()),
        "fence": json.loads(fence.to_json()),
        "tmp": str(tmp),
        "environment": code_environment(settings, "", **_names(fence.account)),
        "spark_environment": _SPARK,
    }
    said = folder / "python-worker.json"
    said.write_text(json.dumps(config))
    command = [sys.executable, "-I", "-S", str(Path(python_worker.__file__).resolve()), str(said)]
    launcher = folder / "python-worker"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    launcher.chmod(0o700)
    return str(launcher)
