"""Processes of this machine, identified by pid and start time: pids are reused."""

from __future__ import annotations

import psutil


def started_at(pid: int) -> float:
    """When a process started, seconds since the epoch; 0 where it does not exist."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def process_is(pid: int, created: float) -> bool:
    """Whether `pid` is still the process that started at `created` (seconds, within the clock's grain)."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
