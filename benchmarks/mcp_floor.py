"""The pinned MCP SDK alone: one tool that does nothing, served as `drls mcp --http` serves, without tokens.

Until its input ends; each question is answered with its address and its process.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.routing import Mount

from agent.mcp.running import server_of
from benchmarks.lab import serve
from drls_dagster.serving.connections import bounded_protocol


async def _list(_ctx: ServerRequestContext[Any, Any], _given: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool(name="nothing", input_schema={"type": "object"})])


async def _call(_ctx: ServerRequestContext[Any, Any], _given: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text="{}")], structured_content={})


def main() -> None:
    server = Server[Any](
        "floor", version="1", on_list_tools=_list, on_call_tool=_call, get_tool_input_schema=lambda _: None
    )
    sessions = StreamableHTTPSessionManager(server)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with sessions.run():
            yield

    app = Starlette(routes=[Mount("/", app=sessions.asgi_app)], lifespan=lifespan)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        running = server_of(app, http=bounded_protocol())

        def answer_until_told() -> None:
            serve(lambda _: {"url": url, "process": os.getpid()})
            running.should_exit = True

        threading.Thread(target=answer_until_told, daemon=True).start()
        running.run(sockets=[listening])


if __name__ == "__main__":
    main()
