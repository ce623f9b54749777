"""What of a `drls up` is ready, asked of Dagster itself."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from drls_dagster.orchestrator.running_up import UpState
from drls_dagster.runs.address import PATH, RUN_SERVICE

_SECONDS = 5.0
_RUNS_SECONDS = 1.0
_QUERY = """
{
  workspaceOrError {
    ... on Workspace {
      locationEntries { name loadStatus locationOrLoadError { __typename ... on PythonError { message } } }
    }
  }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
}
"""
READY = "ready"


def ask_ready(up: UpState) -> Mapping[str, str]:
    """By name (an environment, `web`, `daemon`): `ready`, or what is wrong. What still starts is left out."""
    try:
        answer = httpx.post(
            f"{up.url}/dagster/graphql",
            json={"query": _QUERY},
            headers={"Authorization": f"Bearer {up.token}"},
            timeout=_SECONDS,
            trust_env=False,
        )
        data = answer.json()["data"] if answer.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, ValueError, KeyError):
        return {}
    if data is None:
        return {}
    found = {"web": READY}
    for entry in data["workspaceOrError"].get("locationEntries", ()):
        told = _told(entry)
        if told:
            found[entry["name"]] = told
    daemons = [one for one in data["instance"]["daemonHealth"]["allDaemonStatuses"] if one["required"]]
    if daemons and all(one["healthy"] for one in daemons):
        found["daemon"] = READY
    return found


def ask_runs(place: Path) -> Mapping[str, str]:
    """The same for the run service, whose socket is at `place`."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(_RUNS_SECONDS)
            asking.connect(str(place))
            asking.sendall(f"GET {PATH} HTTP/1.1\r\nHost: runs\r\nConnection: close\r\n\r\n".encode())
            return {RUN_SERVICE: READY} if asking.recv(5) == b"HTTP/" else {}
    except OSError:
        return {}


def _told(entry: Mapping[str, Any]) -> str:
    loaded = entry["locationOrLoadError"] or {}
    if entry["loadStatus"] != "LOADED" or not loaded:
        return ""
    if loaded["__typename"] != "PythonError":
        return READY
    message = str(loaded["message"]).strip()
    # Until its server listens a location is only late, not broken.
    return "" if "UserCodeUnreachable" in message else message.splitlines()[0]
