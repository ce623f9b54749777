"""The processes of an engine and the namespaces that they are in."""

from __future__ import annotations

import os
from collections.abc import Collection

import psutil

from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import EngineState
from tests.ending import unless_gone


def of_engine(state: EngineState, *words: str) -> list[psutil.Process]:
    """Those whose command line has all these words."""
    found: list[psutil.Process] = []
    for process in processes_of(state.engine_id):
        try:
            line = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if all(word in line for word in words):
            found.append(process)
    return found


def executor_of(state: EngineState) -> psutil.Process:
    return max(of_engine(state, "java", "DefaultWorker"), key=lambda one: one.memory_info().rss)


def is_over(process: psutil.Process) -> bool:
    return not process.is_running() or unless_gone(process.status, psutil.STATUS_ZOMBIE) == psutil.STATUS_ZOMBIE


def namespaces(pid: int) -> set[str]:
    """Those that are not this process's own."""
    kinds = ("pid", "mnt")
    return {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in kinds} - {
        os.readlink(f"/proc/self/ns/{k}") for k in kinds
    }


def in_use(wanted: set[str], by: Collection[psutil.Process] | None = None) -> set[str]:
    """The namespaces that some process is in; with `by`, one of these.

    The kernel gives the number of a namespace that is gone to a new one, such as that of the next engine.
    """
    found: set[str] = set()
    for one in psutil.process_iter() if by is None else by:
        try:
            if one.is_running():  # its number may be another's by now
                found |= namespaces(one.pid) & wanted
        except (
            FileNotFoundError,
            ProcessLookupError,
            psutil.NoSuchProcess,
            PermissionError,
        ):  # the last: of this machine's own first process
            continue
    return found
