"""What a fork of the warm host is for: to execute a run, to serve code, or to say that the process of a run is gone."""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Mapping, Sequence

import dagster as dg

from drls_dagster.dagster_private.code_servers import main
from drls_dagster.dagster_private.executing import (
    EngineEventData,
    capture_interrupts,
    core_execute_run,
    get_run_crash_explanation,
    recon_job_from_origin,
)

_log = logging.getLogger(__name__)


def execute(run_id: str) -> None:
    """Executes a run of Dagster's, as the process does that its code server starts."""
    _forget_the_host()
    with capture_interrupts(), dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(run_id)
        if run is None or run.job_code_origin is None:
            _log.error("run %s is not in Dagster's storage", run_id)
            return
        pid = os.getpid()
        instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
        try:
            for _ in core_execute_run(recon_job_from_origin(run.job_code_origin), run, instance, inject_env_vars=False):
                pass
        except BaseException as error:  # noqa: BLE001  it is in the run's event log before it is raised
            _log.info("run %s ended with %s", run_id, type(error).__name__)
        finally:
            instance.report_engine_event(f"Process for run exited (pid: {pid}).", run)


def serve_code(arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
    """Is `dagster` with these arguments, in a folder and with all variables of who asked for it."""
    become("dagster", arguments, environment, folder)
    main()


def report_gone(run_id: str, exit_code: int | None) -> None:
    """Fails a run whose process is gone before its end. `exit_code` as subprocess has it; None where nobody knows."""
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        which = f"Run execution process for {run_id}"
        told = f"{which} is gone." if exit_code is None else get_run_crash_explanation(which, exit_code)
        instance.report_engine_event(told, run)
        instance.report_run_failed(run)


def become(program: str, arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
    """Gives this fork the command line, the variables and the folder of another process."""
    _forget_the_host()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [program, *arguments]


def _forget_the_host() -> None:
    """Two forks of one process would draw the same random numbers."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
