"""`drls mcp --http` on the store in a folder, until its input ends; each question gets its address and process."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from typing import Any

from benchmarks.lab import serve
from drls_dagster.cli.main import run


def main() -> None:
    # Limits are tested elsewhere; here they would be all that is measured.
    os.environ.update(DRLS_HOME=sys.argv[1], DRLS_MCP__REQUESTS_PER_MINUTE="10000000", DRLS_MCP__BURST="1000000")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                return {"url": f"http://127.0.0.1:{port}/mcp", "process": os.getpid()}

    def answer_until_told() -> None:
        serve(answer)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=answer_until_told, daemon=True).start()
    run(["mcp", "--http", "--port", str(port)])


if __name__ == "__main__":
    main()
