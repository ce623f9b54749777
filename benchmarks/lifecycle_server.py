"""`drls serve` on the store in a folder, until its input ends; each question is answered with its port."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from typing import Any

from benchmarks.lab import serve
from benchmarks.lifecycle_store import Nobody, StillPlane
from drls_dagster.cli.main import run
from drls_dagster.lifecycle_client import Adapters


def main() -> None:
    os.environ["DRLS_HOME"] = sys.argv[1]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                return {"port": port}

    def answer_until_told() -> None:
        serve(answer)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=answer_until_told, daemon=True).start()
    run(["serve", "--port", str(port)], Adapters(StillPlane(), Nobody()))


if __name__ == "__main__":
    main()
