"""`drls up`: everything that DRLS needs on one machine, until Ctrl-C."""

from __future__ import annotations

import logging
import secrets
import socket
import uuid
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import kept_token, welcome
from drls_dagster.errors import DrlsError
from drls_dagster.settings import Settings, load_settings

if TYPE_CHECKING:
    from lifecycle.usecases.context import Context


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="IPv4 address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Default: the setting web.port (3000).")
@click.option("--seed-demo", is_flag=True, help="Load the flights example first, with versions in several states.")
def up(host: str, port: int | None, seed_demo: bool) -> None:
    """Start Dagster and the approvals app on this machine; Ctrl-C stops them.

    Starts one code server per environment, the daemon that runs schedules and sensors, and the web interface at
    http://127.0.0.1:3000, which requires signing in. The engine starts when a run needs it. Logs are in
    DRLS_HOME/logs. It speaks plain HTTP: put a TLS proxy in front of it before others use it over a network.
    """
    from filelock import FileLock, Timeout

    from drls_dagster.orchestrator.running_up import folder, running_up

    settings = load_settings()
    lock = FileLock(folder(settings) / "up.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        other = running_up(settings)
        where = f" as process {other.pid}: {other.url}" if other else ""
        raise DrlsError(f"drls up is already running in {settings.home}{where}; stop it there with Ctrl-C") from None
    with lock, _listen(host, port or settings.web.port) as listening:
        _run(settings, listening, seed_demo=seed_demo)


def _run(settings: Settings, listening: socket.socket, *, seed_demo: bool) -> None:
    from drls_dagster.lifecycle_client.gateway import connected_adapters
    from drls_dagster.lifecycle_client.opening import open_context
    from drls_dagster.log_lines import saying, set_up_logging
    from drls_dagster.up.layout import Layout
    from drls_dagster.up.supervisor import Supervisor, own_state

    host, port = listening.getsockname()
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104
    set_up_logging(settings, logging.WARNING)
    say = saying(settings, click.echo)
    say(f"DRLS is starting at {url}; logs are in {settings.home / 'logs'}")
    ctx = open_context(settings, connected_adapters(settings), lambda started: welcome(settings, started))
    up_id, token = uuid.uuid4().hex, secrets.token_urlsafe(32)
    try:
        if seed_demo:
            _seed(ctx, settings, up_id)
        link = _sign_in_link(ctx, settings)
    finally:
        ctx.store.close()
    if link:
        click.echo(f"Sign in with this link, valid once, for one hour: {url}/sign-in#{link}")
    else:
        click.echo(f"Sign in with your password: {url}/sign-in")
    layout = Layout(settings, up_id, token, listening.fileno())
    Supervisor(settings, layout, own_state(up_id, token, url), say).run()


def _seed(ctx: Context, settings: Settings, up_id: str) -> None:
    """Fills the store for a first look; once: what is there already stays as people left it."""
    import os

    from drls_dagster.cli.demo import example, local_landing, prepare
    from drls_dagster.cli.output import make_console
    from drls_dagster.demo import SEEDED, Telling, is_seeded, seed
    from drls_dagster.up.layout import MARK

    if is_seeded(ctx):
        click.echo(f"{SEEDED} already exists; --seed-demo changes nothing")
        return
    landing = local_landing(settings)
    # An engine that starts for this belongs to this drls up, and ends with it.
    os.environ[MARK] = up_id
    try:
        seed(
            settings, ctx, kept_token(settings), example(), Telling(make_console()), lambda: prepare(settings, landing)
        )
    except DrlsError as error:
        # Your own policies hold for the demo, so that it may come to wait; that keeps nobody from working.
        click.echo(f"The demo is incomplete: {error} DRLS starts anyway.", err=True)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise DrlsError(
            f"port {port} of {host} cannot be used ({error.strerror}); choose others with drls up --host HOST "
            "--port PORT"
        ) from None


def _sign_in_link(ctx: Context, settings: Settings) -> str | None:
    """The secret of a one-time link for whoever's token is kept here; None when that token is not good for it."""
    from drls_dagster.lifecycle_client.opening import host, os_user
    from lifecycle.domain.credentials import TokenKind, TokenScope
    from lifecycle.domain.people import WayIn
    from lifecycle.errors import Unauthorized
    from lifecycle.usecases.authenticate import authenticate
    from lifecycle.usecases.first_start import LINK_LIFE
    from lifecycle.usecases.tokens import issue, living

    kept = kept_token(settings)
    if kept is None:
        return None
    try:
        identity = authenticate(ctx, kept, WayIn.CLI, host=host(), os_user=os_user())
    except Unauthorized:
        return None
    # A browser's session may do all that its owner may: a token for less must not become one.
    if identity.scopes != frozenset(TokenScope) or identity.actor.person is None:
        return None
    with ctx.store.write(identity.actor, "sign_in_link") as unit:
        person = unit.people.get(identity.actor.person)
        scopes = tuple(TokenScope)
        name = "sign-in link of drls up"
        # It ends with the token, and so does the session that it opens.
        source = living(unit, identity.actor)
        return issue(unit, person, TokenKind.LINK, name, scopes=scopes, life=LINK_LIFE, issued_from=source).secret
