"""The MCP server over stdin and stdout, for the one person whose token is kept on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from mcp.server.stdio import stdio_server

from agent.mcp.server import make_server

if TYPE_CHECKING:
    from agent.mcp.office import Office

# The agent of a person that this server is.
AGENT = "mcp"


def serve_stdio(toolsets: str) -> None:
    """Answers until stdin ends. Nothing but messages goes to stdout."""
    server = make_server(lambda: _office(toolsets))

    async def serve() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(serve)


def _office(toolsets: str) -> Office:
    from agent.mcp.office import Office, toolsets_of
    from agent.tools.callers import Callers
    from drls_dagster.settings import load_settings

    callers = Callers(load_settings(), agent=AGENT)
    wanted = toolsets_of(toolsets)
    # Read anew, so that `drls login` is enough after a token has expired.
    return Office(callers, lambda _: callers.agent_of(callers.kept()), lambda _: wanted)
