"""A server of two processes with a small app, for a test: `python small_server.py FD FOLDER [broken]`."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from drls_dagster.errors import DrlsError
from drls_dagster.serving.supervisor import Supervisor
from drls_dagster.serving.worker import serve_connections


def app(folder: Path) -> Starlette:
    async def pid(_: Request) -> PlainTextResponse:
        return PlainTextResponse(str(os.getpid()))

    async def slow(_: Request) -> PlainTextResponse:
        """Answers when the test has made the file `go`."""
        (folder / "began").touch()
        while not (folder / "go").exists():
            await asyncio.sleep(0.02)
        return PlainTextResponse("done")

    return Starlette(routes=[Route("/pid", pid), Route("/slow", slow)])


def main() -> None:
    fd, folder = sys.argv[1:3]

    def work(channel: socket.socket) -> None:
        if "broken" in sys.argv:
            raise DrlsError("the settings are wrong")
        serve_connections(app(Path(folder)), channel)

    def log(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        Supervisor(socket.socket(fileno=int(fd)), 2, work, log).run()
    except DrlsError as error:
        log(f"Error: {error.message}")
        sys.exit(1)


if __name__ == "__main__":
    main()
