"""docs/how-to/operate.md: its commands, typed one after another."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from drls_dagster import settings
from drls_dagster.cli.main import run
from tests.docs.pages import HOW_TO, only_block

PAGE = (HOW_TO / "operate.md").read_text()
METRICS, BACKUP, RESTORE = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
_WAIT = 60


def test_a_home_is_backed_up_lost_and_restored_as_the_page_says(drls_home: Path, tmp_path: Path) -> None:
    assert run(["whoami"]) == 0
    for block in (BACKUP, RESTORE):
        for line in block.replace("/backups/", f"{tmp_path}/backups/").splitlines():
            settings._load.cache_clear()
            assert run(shlex.split(line)[1:]) == 0, line
        shutil.rmtree(drls_home)


def test_the_scrape_of_the_page_shows_the_token_from_a_file() -> None:
    (job,) = yaml.safe_load(only_block(PAGE, "yaml"))["scrape_configs"]
    assert job["job_name"] == "drls"
    assert job["authorization"].keys() == {"credentials_file"}


@pytest.mark.slow
def test_metrics_are_read_as_the_page_says(drls_home: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    wait = f"for i in $(seq {_WAIT}); do curl -s -o /dev/null http://127.0.0.1:{port}/ && break; sleep 1; done"
    script = METRICS.replace("drls serve", f"drls serve --port {port} & server=$!\n{wait}").replace("3000", str(port))
    drls = tmp_path / "drls"
    drls.write_text(f'#!/bin/sh\nexec {sys.executable} -m drls_dagster.cli.main "$@"\n')
    drls.chmod(0o700)
    environment = {**os.environ, "DRLS_HOME": str(drls_home), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(HOW_TO.parents[1])
    done = subprocess.run(
        ["sh", "-c", f"{script}\nkill $server; wait $server"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=3 * _WAIT,
    )  # fmt: skip
    assert "\ndrls_store_up 1.0\n" in done.stdout, done.stderr
