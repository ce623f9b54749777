"""An Iceberg REST catalog for tests: the Iceberg project's own test server. It has no sign-in."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import wait_until

CHECKOUT = Path(__file__).parents[1]


@contextmanager
def running_rest_catalog(root: Path) -> Iterator[str]:
    """The address of a server that keeps its tables below `root`."""
    jars = subprocess.run(
        [CHECKOUT / "scripts" / "iceberg_rest.sh"], stdout=subprocess.PIPE, text=True, check=True, timeout=280
    ).stdout.strip()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {
        "CATALOG_URI": f"jdbc:sqlite:{root}/catalog.db",
        "CATALOG_WAREHOUSE": f"file://{root}/warehouse",
        "CATALOG_REST_PORT": str(port),
    }
    with subprocess.Popen(
        ["java", "-Xmx512m", "-cp", f"{jars}/*", "org.apache.iceberg.rest.RESTCatalogServer"],
        env={**os.environ, **given},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until(lambda: process.poll() is not None or _answers(port))
            assert process.poll() is None, "the REST catalog did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
