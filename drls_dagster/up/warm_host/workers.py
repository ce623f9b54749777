"""The processes of runs that a warm host has forked, and those that the host before it has left: which have ended."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from drls_dagster.runs.run_process import RunProcess, forget, note, noted


@dataclass(frozen=True)
class Ended:
    """A process that is gone. `exit_code` as subprocess has it; None where it was no child of this process."""

    run_id: str
    exit_code: int | None


class Workers:
    """All of one home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._children: dict[str, RunProcess] = {}
        self._others = {one.run_id: one for one in noted(home)}

    def __len__(self) -> int:
        return len(self._children) + len(self._others)

    def add(self, run_id: str, pid: int) -> None:
        """Notes a process that was just forked."""
        self._children[run_id] = note(self._home, run_id, pid)

    def ended(self) -> list[Ended]:
        """Those that have ended since the last call. They stay noted until `forget`."""
        gone: list[Ended] = []
        for one in self._children.values():
            pid, status = os.waitpid(one.pid, os.WNOHANG)
            if pid:
                gone.append(Ended(one.run_id, os.waitstatus_to_exitcode(status)))
        gone += [Ended(one.run_id, None) for one in self._others.values() if not one.is_alive()]
        for one in gone:
            self._children.pop(one.run_id, None)
            self._others.pop(one.run_id, None)
        return gone

    def forget(self, run_id: str) -> None:
        """The end of its process was reported."""
        forget(self._home, run_id)
