"""`drls serve`: the lifecycle over REST, for everybody who has no access to DRLS_HOME."""

from __future__ import annotations

import click

from drls_dagster.cli.lifecycle import adapters, lifecycle_errors, welcome
from drls_dagster.settings import load_settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65_535))
def serve(host: str, port: int) -> None:
    """Serve the store here over REST until Ctrl-C; /api/openapi.json describes it.

    It speaks HTTP: put a proxy that speaks TLS in front of it before others use it over a network.
    """
    import uvicorn

    from drls_dagster.lifecycle_client.opening import open_context
    from lifecycle.app.create import create_app

    settings = load_settings()
    with lifecycle_errors():
        context = open_context(settings, adapters(), lambda started: welcome(settings, started))
    click.echo(f"DRLS is at http://{host}:{port}", err=True)
    try:
        uvicorn.run(create_app(context), host=host, port=port, log_level="warning", lifespan="off", ws="none")
    finally:
        context.store.close()
