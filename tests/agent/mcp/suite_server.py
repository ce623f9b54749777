"""DRLS's MCP server with what the conformance suite expects it to offer: the same code, another registry.

Over HTTP (`--port`, or 0 for a free one, which it prints) each request gets the token of DRLS_TOKEN: the suite has none.
"""

from __future__ import annotations

import argparse
import os

from starlette.types import ASGIApp, Receive, Scope, Send

from agent.mcp import prompts, resources
from agent.tools import registry
from tests.agent.mcp import suite_offers


class WithToken:
    """Shows a token for clients that have none."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._header = app, (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and all(name != b"authorization" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int)
    given = arguments.parse_args()
    registry.GROUPS = (suite_offers.__name__,)
    prompts.PROMPTS = tuple(suite_offers.PROMPTS)
    resources.KINDS = tuple(suite_offers.KINDS)
    if given.port is None:
        from agent.mcp.stdio import serve_stdio

        serve_stdio("")
    else:
        _serve(given.port)


def _serve(port: int) -> None:
    from agent.mcp.http import make_app
    from agent.mcp.running import server_of
    from agent.tools.callers import Callers
    from drls_dagster.cli.serve import listen
    from drls_dagster.serving.connections import bounded_protocol
    from drls_dagster.settings import load_settings

    app = make_app(Callers(load_settings(), agent="suite"))
    with listen("127.0.0.1", port) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", flush=True)
        server_of(WithToken(app, os.environ["DRLS_TOKEN"]), http=bounded_protocol()).run(sockets=[listening])


if __name__ == "__main__":
    main()
