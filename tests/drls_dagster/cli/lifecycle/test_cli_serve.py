from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx


def test_a_served_home_answers_on_loopback_asks_for_a_token_and_stops_when_told(drls_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "drls_dagster.cli.main", "serve", "--port", str(port)]
    server = subprocess.Popen(command, env={**os.environ, "DRLS_HOME": str(drls_home)}, stderr=subprocess.PIPE)
    with server, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        try:
            deadline = time.monotonic() + 60
            while True:
                assert server.poll() is None, "the server ended"
                try:
                    health = client.get("/api/health")
                    break
                except httpx.ConnectError:
                    assert time.monotonic() < deadline
            assert health.status_code == 200
            assert client.get("/api/pipeline-defs").status_code == 401
            token = (drls_home / "secret").read_text().strip()
            answer = client.get("/api/pipeline-defs", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(30) in {0, 130, 143, -signal.SIGTERM}
