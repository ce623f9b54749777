"""Who is behind a proxy, and over what: read from headers that only a trusted proxy may send.

Everybody can send these headers. They count only where the connection itself comes from an address of
`web.trusted_proxies`, and only as far as each further address in them is also a trusted proxy.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Literal

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Kind = Literal["x-forwarded", "forwarded"]
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,"\s]*)\s*')
_MOST = 20
# Set in the scope of a request that a trusted proxy has sent.
PROXIED = "drls.proxied"


class Forwarded:
    """Puts the client's address and the scheme that a trusted proxy names into the request.

    `kind` says which headers that proxy sets: it passes the others on as the client sent them.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[Network], kind: Kind = "x-forwarded") -> None:
        self._app, self._proxies, self._kind = app, proxies, kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] in {"http", "websocket"} and client and is_trusted(client[0], self._proxies):
            scope = self._resolved(scope)
        await self._app(scope, receive, send)

    def _resolved(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        if self._kind == "forwarded":
            steps = _forwarded(headers.getlist("forwarded"))
        else:
            # One value for the way to the proxy that is next to us, whatever came before.
            proto = ",".join(headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip()
            steps = [(one.strip(), proto) for one in ",".join(headers.getlist("x-forwarded-for")).split(",")]
            steps = steps if headers.get("x-forwarded-for") else [("", proto)]
        address, scheme = scope["client"][0], scope["scheme"]
        for number, (said, proto) in enumerate(reversed(steps)):
            if number >= _MOST or not is_trusted(address, self._proxies):
                break
            scheme = _scheme(scope["type"], proto) or scheme
            found = _address(said)
            if found is None:
                break
            address = found
        return {**scope, "client": (address, 0), "scheme": scheme, PROXIED: True}


def is_trusted(address: str, proxies: Iterable[Network]) -> bool:
    """Whether an address is one of a trusted proxy."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in proxy for proxy in proxies)


def networks(addresses: Iterable[str]) -> tuple[Network, ...]:
    """The networks that a setting names. Raises ValueError for what is neither address nor network."""
    return tuple(ipaddress.ip_network(one) for one in addresses)


def _scheme(kind: str, said: str) -> str | None:
    secure = {"https": True, "wss": True, "http": False, "ws": False}.get(said.lower())
    if secure is None:
        return None
    return {"http": ("http", "https"), "websocket": ("ws", "wss")}[kind][secure]


def _address(said: str) -> str | None:
    """The address in `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711`; None for anything else."""
    text = said.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _forwarded(lines: Sequence[str]) -> list[tuple[str, str]]:
    """The steps of `Forwarded` (RFC 7239): each with `for` and `proto`."""
    steps: list[tuple[str, str]] = []
    for element in _split(",".join(lines), ","):
        pairs = {name.lower(): value.strip('"') for name, value in _PAIR.findall(element)}
        steps.append((pairs.get("for", ""), pairs.get("proto", "")))
    return steps


def _split(text: str, at: str) -> list[str]:
    """Splits outside quotes."""
    parts, quoted = [""], False
    for letter in text:
        quoted ^= letter == '"'
        if letter == at and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
