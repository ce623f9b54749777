"""An S3 server for tests: versitygw, over a folder."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import wait_until

CHECKOUT = Path(__file__).parents[1]
KEY, SECRET = "drls", "not-so-secret"


@contextmanager
def running_s3(root: Path, *buckets: str) -> Iterator[str]:
    """The address of a server that keeps these buckets below `root`."""
    program = subprocess.run(
        [CHECKOUT / "scripts" / "versitygw.sh"], stdout=subprocess.PIPE, text=True, check=True, timeout=280
    ).stdout.strip()
    for bucket in buckets:
        (root / bucket).mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    keys = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
    with subprocess.Popen(
        [program, "--port", f"127.0.0.1:{port}", "posix", root],
        env={**os.environ, **keys},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: _answers(port))
        yield f"127.0.0.1:{port}"
        process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
