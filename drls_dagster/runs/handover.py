"""How a run token gets from the launcher to the process of the run: a private file that is read once, or a variable."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drls_dagster.private_home import private_home
from drls_dagster.runs.address import TOKEN_VARIABLE, URL_VARIABLE
from drls_dagster.runs.refusal import GateRefused
from drls_dagster.runs.remote import Remote
from drls_dagster.runs.token import RunToken
from drls_dagster.settings import Settings
from lifecycle.private_files import write_private

FOLDER = "run-tokens"
_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
_line = threading.Lock()
_taken: dict[tuple[Path, str], Taken] = {}


@dataclass(frozen=True)
class Taken:
    """What the process of a run was launched with."""

    way: Remote


def hand_over(settings: Settings, run_id: str, token: RunToken, url: str) -> None:
    """Leaves the token for the process of the run. Raises GateRefused for a run id that is not one of Dagster's."""
    write_private(_file(settings, run_id), json.dumps({"url": url, "token": token.text}))


def take_back(settings: Settings, run_id: str) -> None:
    """Removes a token that nobody has taken: the launch failed."""
    _file(settings, run_id).unlink(missing_ok=True)


def taken(settings: Settings, run_id: str) -> Taken | None:
    """What this process was launched with; None where it was not launched by DRLS. The first call takes it."""
    key = (settings.home, run_id)
    with _line:
        if key not in _taken:
            found = _from_environment() or _from_file(settings, run_id)
            if found is None:
                return None
            _taken[key] = found
        return _taken[key]


def required(settings: Settings, run_id: str) -> Taken | None:
    """The same, for a process that may serve itself only where no run service runs.

    Raises GateRefused below `drls up`, and in a pod, without a token: the process of a run opens no store there.
    """
    found = taken(settings, run_id)
    if found is None and os.environ.get(URL_VARIABLE):
        raise GateRefused(
            f"run {run_id} was started without its run token, so nothing of it was done; launch it again through DRLS "
            "(drls doctor says whether dagster.yaml names its run launcher)"
        )
    return found


def clear_left(settings: Settings, is_over: Callable[[str], bool]) -> list[str]:
    """Removes tokens of runs that are over and whose process never took them; their run ids."""
    folder = settings.home / FOLDER
    left = [file for file in folder.iterdir() if is_over(file.name)] if folder.is_dir() else []
    for file in left:
        file.unlink(missing_ok=True)
    return [file.name for file in left]


def _from_environment() -> Taken | None:
    token, url = os.environ.pop(TOKEN_VARIABLE, None), os.environ.get(URL_VARIABLE)
    return None if token is None or url is None else Taken(Remote(url, RunToken(token)))


def _from_file(settings: Settings, run_id: str) -> Taken | None:
    if not _RUN_ID.fullmatch(run_id):
        return None
    file = settings.home / FOLDER / run_id
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    file.unlink(missing_ok=True)
    return Taken(Remote(found["url"], RunToken(found["token"])))


def _file(settings: Settings, run_id: str) -> Path:
    if not _RUN_ID.fullmatch(run_id):
        raise GateRefused(f"DRLS did not let this run start: {run_id[:80]!r} is not a run id")
    return private_home(settings.home, FOLDER) / run_id
