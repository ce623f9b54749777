"""Where the `drls up` of a home can be reached: one file, believed only while its process lives."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from drls_dagster.private_home import private_home
from drls_dagster.processes import process_is
from drls_dagster.settings import Settings
from lifecycle.private_files import write_private

# The variable that hands the token to the web process.
OWN_TOKEN = "DRLS_UP_TOKEN"  # noqa: S105


@dataclass(frozen=True)
class UpState:
    """The content of DRLS_HOME/up/state.json (mode 0600: whoever has `token` may launch and reload)."""

    up_id: str
    pid: int
    created: float  # seconds, the process's start time: a pid that came round again has another
    url: str  # the address of the app, without a path
    token: str

    def __repr__(self) -> str:
        return f"UpState(pid={self.pid}, url={self.url})"

    @property
    def is_alive(self) -> bool:
        return process_is(self.pid, self.created)


def folder(settings: Settings) -> Path:
    """DRLS_HOME/up, for this user alone."""
    return private_home(settings.home, "up")


def write_up(settings: Settings, state: UpState) -> None:
    write_private(folder(settings) / "state.json", json.dumps(asdict(state)))


def running_up(settings: Settings) -> UpState | None:
    """The `drls up` of this home; None when none runs."""
    try:
        state = UpState(**json.loads((settings.home / "up" / "state.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return state if state.is_alive else None


def forget_up(settings: Settings, up_id: str) -> None:
    """Removes the file, unless another `drls up` has written it since."""
    file = settings.home / "up" / "state.json"
    try:
        if json.loads(file.read_text())["up_id"] == up_id:
            file.unlink()
    except (FileNotFoundError, ValueError, KeyError):
        return
