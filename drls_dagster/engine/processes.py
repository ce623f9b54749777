"""The processes of an engine, found by a mark in their environment that every descendant inherits."""

from __future__ import annotations

import os

import psutil

MARK = "DRLS_ENGINE_ID"


def processes_of(engine_id: str, mark: str = MARK, without: str | None = None) -> list[psutil.Process]:
    """All live processes of this user that carry the engine's mark, this process excepted.

    Another `mark` finds what others started; those that carry the mark `without` too are left out.
    """
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid():
                continue
            marks = process.environ()
            if marks.get(mark) == engine_id and without not in marks:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def end_all(engine_id: str, patience: float = 5.0, mark: str = MARK, without: str | None = None) -> None:
    """End every process of the engine: asks first, after `patience` seconds insists."""
    remaining = processes_of(engine_id, mark, without)
    for process in remaining:
        _signal(process, kill=False)
    _, alive = psutil.wait_procs(remaining, timeout=patience)
    # Again by mark, not by list: a dying parent may have started something in between.
    for process in {*alive, *processes_of(engine_id, mark, without)}:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=patience)


def proportional_memory(engine_id: str) -> int:
    """Bytes of memory of the whole engine, shared pages counted once (PSS)."""
    total = 0
    for process in processes_of(engine_id):
        try:
            total += int(process.memory_full_info().pss)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
