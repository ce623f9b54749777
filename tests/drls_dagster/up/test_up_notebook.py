"""A notebook in the real `drls up`: started by the command, opened behind its door, gone with it."""

from __future__ import annotations

import json
import os
import signal

import httpx
import psutil
import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.drls_dagster.up.conftest import Up, left_of
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a9_a_notebook_lives_and_ends_with_drls_up(up: Up) -> None:
    assert up.has_said("notebooks is ready")
    started = up.drls("notebook", "start")
    assert started.returncode == 0, started.stderr
    found = json.loads(up.drls("notebook", "status", "--json").stdout)
    path = found["path"]
    assert f"{up.url}{path}" in started.stdout
    with httpx.Client(base_url=up.url, timeout=60, trust_env=False) as client:
        signed = client.post("/api/session/link", json={"secret": up.link}, headers={"Origin": up.url})
        assert signed.is_success
        assert client.get("/api/notebook/status").json()["state"] == "running"
        page = client.get(path)
        assert (page.status_code, "<marimo-" in page.text) == (200, True)
        (up.home / "notebooks").joinpath(str(1), "x.py").write_text("import marimo\napp = marimo.App()\n")
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        address = f"{up.url.replace('http', 'ws')}{path}ws?session_id=s_up&file=x.py"
        with connect(
            address,
            origin=Origin(up.url),
            additional_headers={"Cookie": cookie},
            proxy=None,
            open_timeout=60,
            max_size=None,
        ) as pages:
            assert json.loads(pages.recv(timeout=60))["op"] == "kernel-ready"
        assert client.get(path, headers={"Authorization": f"Bearer {up.token}"}).status_code == 403
    notebook = [one for one in psutil.process_iter(["cmdline"]) if _is_host(one, up)]
    assert notebook
    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait(30)
    wait_until(lambda: not left_of(up.up_id) and not any(one.is_running() for one in notebook), 120)


def _is_host(process: psutil.Process, up: Up) -> bool:
    """Also inside its fence, where the mark of `drls up` is not in its environment."""
    said = process.info["cmdline"] or []
    return "drls_dagster.notebooks.host" in said and any(one.startswith(str(up.home)) for one in said)
