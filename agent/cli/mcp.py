"""`drls mcp`: lets an MCP client act for a person."""

from __future__ import annotations

from pathlib import Path

import click

from drls_dagster.errors import UsageError


@click.command()
@click.option(
    "--toolsets",
    default="",
    metavar="NAMES",
    help="Toolsets to offer, such as read,runs.  [default: all that the token may use, without drls1]",
)
@click.option("--http", is_flag=True, help="Serve streamable HTTP at /mcp instead of stdin and stdout.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on, with --http.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Default: the setting mcp.port (8100).")
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TLS certificate.")
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Private key of it.")
def mcp(toolsets: str, http: bool, host: str, port: int | None, certificate: Path | None, key: Path | None) -> None:
    """Serve MCP to a client such as Claude, Cursor or VS Code.

    Over stdin and stdout, the client acts for the owner of DRLS_TOKEN, or of the token that drls login saved. Over
    HTTP, each client sends a token. An agent may do at most what its person may, and never approves.
    """
    if (certificate is None) != (key is None):
        raise UsageError("give --certificate and --key together")
    if http:
        _serve(host, port, certificate, key)
        return
    import gc

    # Nothing of what is imported is ever garbage, and the client waits for the answer to its first message.
    gc.disable()
    from agent.mcp.stdio import serve_stdio

    gc.freeze()
    gc.enable()
    serve_stdio(toolsets)


def _serve(host: str, port: int | None, certificate: Path | None, key: Path | None) -> None:
    from agent.mcp.http import PATH, make_app
    from agent.mcp.running import check_certificate, check_host, server_of
    from agent.mcp.stdio import AGENT
    from agent.tools.callers import Callers
    from drls_dagster.cli.serve import listen, names_of
    from drls_dagster.serving.connections import bounded_protocol
    from drls_dagster.serving.forwarded import Forwarded, networks
    from drls_dagster.settings import load_settings
    from drls_dagster.traces.requests import traced

    settings = load_settings()
    check_host(host, protected=certificate is not None or settings.mcp.plain_http)
    if certificate is not None and key is not None:
        check_certificate(certificate, key)
    callers = Callers(settings, agent=AGENT)
    callers.open()
    proxies = networks(settings.web.trusted_proxies)
    app = traced(make_app(callers, hosts=names_of(settings, host)), settings, (PATH,))
    app = Forwarded(app, proxies, settings.web.forwarded)
    with listen(host, port or settings.mcp.port) as listening:
        where = f"{'http' if certificate is None else 'https'}://{host}:{listening.getsockname()[1]}{PATH}"
        click.echo(f"MCP is at {where}", err=True)
        server_of(app, http=bounded_protocol(proxies), certificate=certificate, key=key).run(sockets=[listening])
    callers.close()
