"""The web process of `drls up` on a real port, with one code location that counts how often it is loaded."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import yaml

from drls_dagster.orchestrator.running_up import OWN_TOKEN, UpState, write_up
from drls_dagster.settings import Settings
from drls_dagster.up.readiness import ask_ready
from tests.waiting import wait_until

_LOCATION = """
import os
import dagster as dg

@dg.op
def hello():
    pass

@dg.job
def flights():
    hello()

@dg.job(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def parted():
    hello()

open(os.environ["LOADS"], "a").write("x")
defs = dg.Definitions(jobs=[flights, parted])
"""


@contextmanager
def running_web(settings: Settings, folder_: Path, loads: Path) -> Iterator[None]:
    """With jobs `flights` and `parted` in QA; each load of the location adds a letter to the file `loads`."""
    (folder_ / "location.py").write_text(_LOCATION)
    workspace = folder_ / "workspace.yaml"
    one = {"python_file": {"relative_path": str(folder_ / "location.py"), "location_name": "qa"}}
    workspace.write_text(yaml.safe_dump({"load_from": [one]}))
    token = secrets.token_urlsafe(8)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        command = [sys.executable, "-m", "drls_dagster.up.web.serve", "--fd", str(fd), "--workspace", str(workspace)]
        environment = {**os.environ, "DAGSTER_HOME": str(settings.home / "dagster"), OWN_TOKEN: token}
        web = subprocess.Popen(command, env={**environment, "LOADS": str(loads)}, pass_fds=[fd])
        try:
            created = psutil.Process(web.pid).create_time()
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            up = UpState("id", web.pid, created, url, token)
            write_up(settings, up)
            wait_until(lambda: ask_ready(up).get("qa") == "ready" or web.poll() is not None, 120)
            yield
        finally:
            children = psutil.Process(web.pid).children(recursive=True)
            web.terminate()
            web.wait(30)
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
