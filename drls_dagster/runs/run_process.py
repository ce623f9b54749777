"""The process of a run that the warm host started: a file says which it is, for whoever stops the run."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drls_dagster.private_home import private_home
from drls_dagster.processes import process_is, started_at
from lifecycle.private_files import write_private

FOLDER = "run-processes"
RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")


@dataclass(frozen=True)
class RunProcess:
    """A process by pid and start time, seconds since the epoch."""

    run_id: str
    pid: int
    created: float

    def is_alive(self) -> bool:
        return process_is(self.pid, self.created)

    def interrupt(self) -> bool:
        """Sends SIGINT, on which Dagster ends the run. False where the process is gone."""
        if not self.is_alive():
            return False
        os.kill(self.pid, signal.SIGINT)
        return True


def note(home: Path, run_id: str, pid: int) -> RunProcess:
    """Keeps which process a run has, from its start until its end was reported."""
    created = started_at(pid)
    write_private(private_home(home, FOLDER) / run_id, json.dumps({"pid": pid, "created": created}))
    return RunProcess(run_id, pid, created)


def find(home: Path, run_id: str) -> RunProcess | None:
    """The process of a run; None where the warm host has started none, or its end was reported."""
    if not RUN_ID.fullmatch(run_id):
        return None
    try:
        said = json.loads((home / FOLDER / run_id).read_text())
        return RunProcess(run_id, int(said["pid"]), float(said["created"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # or half written when the machine went down


def noted(home: Path) -> Iterator[RunProcess]:
    """All that are kept."""
    for file in private_home(home, FOLDER).iterdir():
        found = find(home, file.name)
        if found is not None:
            yield found
        else:
            file.unlink(missing_ok=True)


def forget(home: Path, run_id: str) -> None:
    """Its end was reported."""
    (home / FOLDER / run_id).unlink(missing_ok=True)
