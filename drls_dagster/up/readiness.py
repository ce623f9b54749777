"""What of a `drls up` is ready, asked of Dagster itself."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from drls_dagster.gate.warm_host import NAME as WARM_HOST
from drls_dagster.gate.warm_host import WarmHost
from drls_dagster.orchestrator.running_up import UpState

_SECONDS = 5.0
_SOCKET_SECONDS = 1.0
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


def ask_listening(places: Mapping[str, Path], path: str, home: Path) -> Mapping[str, str]:
    """The same for those of a home that listen on a Unix socket, by name: whether one answers, by HTTP at `path`."""
    return {
        name: READY
        for name, place in places.items()
        if (WarmHost(place, home).is_ready() if name == WARM_HOST else _answers(place, path))
    }


def _answers(place: Path, path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(_SOCKET_SECONDS)
            asking.connect(str(place))
            asking.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return asking.recv(5) == b"HTTP/"
    except OSError:
        return False


def _told(entry: Mapping[str, Any]) -> str:
    loaded = entry["locationOrLoadError"] or {}
    if entry["loadStatus"] != "LOADED" or not loaded:
        return ""
    if loaded["__typename"] != "PythonError":
        return READY
    message = str(loaded["message"]).strip()
    # Until its server listens a location is only late, not broken.
    return "" if "UserCodeUnreachable" in message else message.splitlines()[0]
