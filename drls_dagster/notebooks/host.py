"""What runs in the fence of a notebook: marimo's own server, on a socket that it inherits.

`python -m drls_dagster.notebooks.host FD BASE FOLDER BYTES`. marimo has no way to be given a socket, uvicorn has.
"""

from __future__ import annotations

import resource
import runpy
import socket
import sys

_MOST_FILE = 2**30


def main() -> None:
    given, base, folder, memory = sys.argv[1:]
    # For every process in here, and for good: memory that is written to, and the size of a file, the log among them.
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_FILE, _MOST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import uvicorn

    listening = socket.socket(fileno=int(given))
    run = uvicorn.Server.run

    def on_socket(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        run(server, sockets=[listening])

    uvicorn.Server.run = on_socket  # type: ignore[method-assign]
    # Nobody but the app reaches the socket, and the app knows who asks: a second token would only be one more secret.
    sys.argv = ["marimo", "--quiet", "edit", folder, "--headless", "--no-token", "--no-sandbox", "--skip-update-check"]
    sys.argv += ["--base-url", base, "--host", "127.0.0.1", "--port", "2718"]
    runpy.run_module("marimo", run_name="__main__")


if __name__ == "__main__":
    main()
