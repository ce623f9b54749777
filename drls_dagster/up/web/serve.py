"""The process that serves the app of `drls up`, on a socket that it inherits."""

from __future__ import annotations

import argparse
import os
import socket
import warnings
from dataclasses import replace
from pathlib import Path

import uvicorn

from drls_dagster.lifecycle_client.gateway import open_lifecycle
from drls_dagster.lifecycle_client.signing_in import openid
from drls_dagster.log_lines import set_up_logging
from drls_dagster.maintenance.port import TableMaintenance
from drls_dagster.metrics.door import metrics_token, with_metrics
from drls_dagster.metrics.installation import newest_entry
from drls_dagster.notebooks.port import KeptNotebooks
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.orchestrator.running_up import OWN_TOKEN
from drls_dagster.sensors.evidence import ask_evidence
from drls_dagster.serving.collector import spare_the_collector
from drls_dagster.serving.connections import bounded_protocol
from drls_dagster.serving.forwarded import Forwarded, networks
from drls_dagster.serving.request_ids import Identified
from drls_dagster.settings import load_settings
from drls_dagster.traces.requests import traced
from drls_dagster.up.web.app import make_app
from drls_dagster.up.web.sections import chats_of
from drls_dagster.up.web.workspace import PREFIX


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--fd", type=int, required=True)
    arguments.add_argument("--workspace", type=Path, required=True)
    arguments.add_argument("--mcp", type=Path, help="Socket of the MCP server")
    arguments.add_argument("--agent", type=Path, help="Socket of the chat process")
    arguments.add_argument("--notebooks", type=Path, help="Folder with the sockets of notebooks")
    given = arguments.parse_args()
    # At the start the code servers are not there yet, and later the UI shows what is wrong with a location.
    warnings.filterwarnings("ignore", message="Error loading repository location", category=UserWarning)
    # What Dagster starts must not inherit it.
    token = os.environ.pop(OWN_TOKEN)
    settings = load_settings()
    set_up_logging(settings)
    ctx = replace(open_lifecycle(settings), maintenance=TableMaintenance(settings), notebooks=KeptNotebooks(settings))
    app = make_app(
        ctx,
        token=token,
        workspace_file=given.workspace,
        hosts=settings.web.hosts,
        dagster_for_all=settings.web.dagster_for_all,
        openid=openid(settings),
        mcp=given.mcp,
        notebooks=given.notebooks,
        chats=chats_of(settings, given.agent),
        # What was promoted is loaded now: the run that a policy asks for need not wait for a sensor.
        reloaded=lambda environment: ask_evidence(ctx, instance_of(settings), (environment,)),
    )
    # One process: it counts for itself.
    groups = ("/push", "/mcp", "/notebook", PREFIX)
    app = with_metrics(app, metrics_token(settings), settings, ctx.store, newest_entry(ctx.store), None, *groups)
    spare_the_collector()
    proxies = networks(settings.web.trusted_proxies)
    config = uvicorn.Config(
        Forwarded(Identified(traced(app, settings, groups)), proxies, settings.web.forwarded),
        http=bounded_protocol(proxies),
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=1024 * 1024,
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
    with socket.socket(fileno=given.fd) as listening:
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
