"""Running the server over HTTP."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from drls_dagster.errors import UsageError
from drls_dagster.serving.collector import spare_the_collector


def server_of(
    app: ASGIApp,
    *,
    http: type[asyncio.Protocol],
    behind_door: bool = False,
    certificate: Path | None = None,
    key: Path | None = None,
) -> uvicorn.Server:
    """The server, to be run on a socket that listens."""
    spare_the_collector()
    config = uvicorn.Config(
        app,
        http=http,
        lifespan="on",
        ws="none",
        log_config=None,
        log_level="warning",
        proxy_headers=behind_door,
        forwarded_allow_ips="*" if behind_door else None,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    return uvicorn.Server(config)


def check_certificate(certificate: Path, key: Path) -> None:
    """Raises UsageError for files that are no certificate with its key."""
    try:
        # Without a passphrase to ask for: OpenSSL would ask the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            f"{certificate} and {key} cannot be used: {error.strerror or error}; give a certificate in PEM and its "
            "private key without a passphrase"
        ) from None


def check_host(host: str, *, protected: bool) -> None:
    """Raises UsageError where tokens would cross a network in the clear."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not protected:
        raise UsageError(
            f"{host} can be reached from other machines, and tokens would travel in plain HTTP; give --certificate and "
            "--key, or put a TLS proxy in front and set mcp.plain_http"
        )
