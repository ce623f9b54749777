"""The chat process: serves people's chats with TRex on a private Unix socket. Started by `drls up`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from agent.chat.app import chat_routes
from agent.chat.model import litellm
from agent.chat.opening import open_service
from drls_dagster.log_lines import set_up_logging
from drls_dagster.serving.owners_only import OwnersOnly
from drls_dagster.settings import load_settings

_GRACE_SECONDS = 5


def main() -> None:
    arguments = argparse.ArgumentParser()
    where = arguments.add_mutually_exclusive_group(required=True)
    where.add_argument("--fd", type=int, help="a Unix socket that listens already")
    where.add_argument("--socket", type=Path, help="where to make one")
    given = arguments.parse_args()
    set_up_logging(load_settings())
    # These quote requests, with what is in them.
    for name in ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router", "httpx", "httpcore", "openai"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # It takes seconds, which nobody should wait for.
    threading.Thread(target=litellm, name="litellm", daemon=True).start()
    with socket.socket(fileno=given.fd) if given.fd is not None else _listen(given.socket) as listening:
        server = uvicorn.Server(
            uvicorn.Config(
                _app(),
                http=OwnersOnly,
                lifespan="on",
                ws="none",
                log_config=None,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        asyncio.run(server.serve(sockets=[listening]))


def _app() -> Starlette:
    service = open_service(load_settings())

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncGenerator[None]:
        yield
        await service.close()

    app = chat_routes(service)
    app.router.lifespan_context = life
    return app


def _listen(place: Path) -> socket.socket:
    place.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(place))
    finally:
        os.umask(before)
    listening.listen(128)
    return listening


if __name__ == "__main__":
    main()
