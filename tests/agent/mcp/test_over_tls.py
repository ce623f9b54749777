"""The server with a certificate of its own: tokens cross a network only in TLS, and a client knows whom it talks to."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client

from drls_dagster.cli.main import run
from tests.agent.mcp.world import CLI, HttpServer, World, ask, free_port, http_server, names, over_http, world_at
from tests.certificates import self_signed

LOOPBACK = "127.0.0.1"


def made(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that nobody else has signed, and its key."""
    folder.mkdir()
    files = folder / "certificate.pem", folder / "key.pem"
    for file, content in zip(files, self_signed("drls", ec.generate_private_key(ec.SECP256R1())), strict=True):
        file.write_bytes(content)
    return files


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return made(tmp_path_factory.mktemp("tls") / "own")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_at(tmp_path_factory.mktemp("https") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def server(world: World, certificate: tuple[Path, Path]) -> Iterator[HttpServer]:
    """For the network, as people start it."""
    file, key = map(str, certificate)
    options = ["--http", "--host", "0.0.0.0", "--port", str(free_port()), "--certificate", file, "--key", key]  # noqa: S104
    with http_server(world, CLI, "mcp", *options) as running:
        running.url = running.url.replace("0.0.0.0", LOOPBACK)  # noqa: S104
        yield running


@pytest.mark.slow
def test_a_client_that_trusts_the_certificate_has_its_tools(
    server: HttpServer, world: World, certificate: tuple[Path, Path]
) -> None:
    assert server.url.startswith("https://")

    async def look(client: Client) -> list[str]:
        return names((await client.list_tools()).tools)

    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    assert "search" in ask(over_http(server.url, world.token("ada"), tls=trusting), look)
    challenge = httpx2.get(server.url, verify=trusting, trust_env=False)
    assert f'resource_metadata="{server.url.removesuffix("/mcp")}/' in challenge.headers["www-authenticate"]


@pytest.mark.slow
def test_no_one_else_is_believed_and_nothing_is_answered_in_the_clear(server: HttpServer, world: World) -> None:
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx2.get(server.url, trust_env=False)
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(server.url.replace("https", "http"), trust_env=False)


def test_a_key_of_another_certificate_is_one_line(
    certificate: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, other = made(tmp_path / "other")
    assert run(["mcp", "--http", "--certificate", str(certificate[0]), "--key", str(other)]) == 2
    told = capsys.readouterr().err
    assert "give a certificate in PEM and its private key without a passphrase" in told
    assert len(told.strip().splitlines()) == 1 or "Usage" in told
