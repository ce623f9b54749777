"""`drls serve`: the approvals app and REST, for everybody who has no access to DRLS_HOME."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import nullcontext

import click

from drls_dagster.cli.lifecycle import adapters, welcome
from drls_dagster.errors import UsageError
from drls_dagster.lifecycle_client.signing_in import openid
from drls_dagster.settings import Settings, load_settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65_535))
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Number of server processes.  [default: 2, or 1 on a single processor]",
)
def serve(host: str, port: int, workers: int | None) -> None:
    """Serve the approvals app and its REST API from this store until Ctrl-C. The API is described at /api/openapi.json.

    It serves plain HTTP: put a TLS proxy in front of it before others use it over a network. It accepts requests for
    this machine's names, the host of app_url, and the setting web.hosts.
    """
    from drls_dagster.lifecycle_client.opening import open_context
    from drls_dagster.log_lines import saying, set_up_logging
    from drls_dagster.metrics.door import metrics_token, with_metrics
    from drls_dagster.metrics.installation import newest_entry
    from drls_dagster.metrics.shared import counting_folder
    from drls_dagster.runs.door import RunsDoor
    from drls_dagster.serving.collector import spare_the_collector
    from drls_dagster.serving.forwarded import Forwarded, networks
    from drls_dagster.serving.hosts import KnownHosts
    from drls_dagster.serving.request_ids import Identified
    from drls_dagster.serving.supervisor import Supervisor
    from drls_dagster.serving.worker import serve_connections
    from drls_dagster.traces.requests import traced
    from drls_dagster.web.sections import DAGSTER, DAGSTER_PATH, SECTIONS
    from lifecycle.app.kit.parts import DagsterAt
    from lifecycle.app.site import create_site

    settings = load_settings()
    set_up_logging(settings, logging.WARNING)
    say = saying(settings, lambda line: click.echo(line, err=True))
    provider = openid(settings)
    given = adapters()
    hosts = names_of(settings, host)
    proxies = networks(settings.web.trusted_proxies)
    dagster = DagsterAt(DAGSTER_PATH) if settings.web.dagster_beside else None
    token = metrics_token(settings)

    def work(channel: socket.socket) -> None:
        context = open_context(settings, given, lambda started: welcome(settings, started))
        site = create_site(context, (*SECTIONS, DAGSTER), connected=(provider, dagster))
        spare_the_collector()
        app = with_metrics(KnownHosts(RunsDoor(site, settings), hosts), token, settings, context.store, since, counted)
        serve_connections(
            Forwarded(Identified(traced(app, settings)), proxies, settings.web.forwarded), channel, proxies
        )
        context.store.close()

    # Creates a missing store, and says what is wrong with it; connections do not survive a fork.
    first = open_context(settings, given, lambda started: welcome(settings, started)).store
    since = newest_entry(first)
    first.close()
    counting = counting_folder(settings) if token is not None else nullcontext()
    with listen(host, port) as listening, counting as counted:
        say(f"DRLS is at http://{host}:{port}")
        count = workers or min(2, os.cpu_count() or 1)
        Supervisor(listening, count, work, say).run()


def names_of(settings: Settings, host: str) -> tuple[str, ...]:
    """The names that this server answers to, besides those of this machine."""
    from drls_dagster.serving.hosts import host_of_url

    urls = [settings.app_url, *([settings.oidc.public_url] if settings.oidc else [])]
    listening = [] if host in {"0.0.0.0", "::"} else [f"[{host}]" if ":" in host else host]  # noqa: S104
    return (*settings.web.hosts, *listening, *(host_of_url(url) for url in urls))


def listen(host: str, port: int) -> socket.socket:
    """Raises UsageError where nobody can listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise UsageError(
            f"cannot listen on {host}:{port} ({why}); choose another address with --host and --port"
        ) from None
