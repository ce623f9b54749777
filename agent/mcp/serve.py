"""The process that serves MCP below `drls up`, on a Unix socket that it inherits: the site's door leads to /mcp."""

from __future__ import annotations

import argparse
import logging
import socket

from agent.mcp.http import PATH, make_app
from agent.mcp.running import server_of
from agent.mcp.stdio import AGENT
from agent.tools.callers import Callers
from drls_dagster.log_lines import set_up_logging
from drls_dagster.serving.owners_only import OwnersOnly
from drls_dagster.settings import load_settings
from drls_dagster.traces.requests import traced


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--fd", type=int, required=True)
    given = arguments.parse_args()
    settings = load_settings()
    set_up_logging(settings, logging.WARNING)
    app = make_app(Callers(settings, agent=AGENT), hosts=settings.web.hosts)
    with socket.socket(fileno=given.fd) as listening:
        # The door is this user's own, and says who is behind it.
        server_of(traced(app, settings, (PATH,)), http=OwnersOnly, behind_door=True).run(sockets=[listening])


if __name__ == "__main__":
    main()
