"""The process that serves runs of `drls up`, on a Unix socket that it inherits."""

from __future__ import annotations

import argparse
import socket

import uvicorn

from drls_dagster.log_lines import set_up_logging
from drls_dagster.runs.app import run_routes
from drls_dagster.runs.service import RunService
from drls_dagster.serving.collector import spare_the_collector
from drls_dagster.serving.owners_only import OwnersOnly
from drls_dagster.settings import load_settings


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--fd", type=int, required=True)
    given = arguments.parse_args()
    settings = load_settings()
    set_up_logging(settings)
    spare_the_collector()
    with socket.socket(fileno=given.fd) as listening:
        server_of(RunService(settings)).run(sockets=[listening])


def server_of(service: RunService) -> uvicorn.Server:
    """The server, to be run on a Unix socket that listens."""
    config = uvicorn.Config(
        run_routes(service),
        http=OwnersOnly,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


if __name__ == "__main__":
    main()
