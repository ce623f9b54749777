"""Dagster's code server, which starts a process each time that it loads its location, and how to start that instead."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from dagster._cli import main
from dagster._grpc import server
from dagster_shared.ipc import open_ipc_subprocess

Start = Callable[[Sequence[str]], "subprocess.Popen[Any] | None"]


def start_by(start: Start) -> None:
    """Has `start` start the process that serves a location's code; where it returns None, Dagster does."""

    def open_process(parts: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        return start(parts) or open_ipc_subprocess(parts, **options)

    setattr(server, open_ipc_subprocess.__name__, open_process)
