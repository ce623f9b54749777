"""Which addresses credentials and messages may be sent to."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, ip_address
from urllib.parse import urlsplit


def is_protected(url: str) -> bool:
    """Whether what is sent to `url` cannot be read on the way: https, or http to this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host or "")))


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this very machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_webhook(url: str) -> str | None:
    """Why no message is sent to `url`, or None: https, http to this very machine, but nothing that is link-local."""
    if not is_protected(url):
        return (
            "write https://… for a webhook; http:// works only for this machine, because the message is not encrypted"
        )
    if _is_link_local(url):
        return "write https://… and a machine's name for a webhook; link-local addresses are refused"
    return None


def _is_link_local(url: str) -> bool:
    """Clouds answer at such an address with a machine's own credentials."""
    host = (urlsplit(url).hostname or "").partition("%")[0].rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        try:
            # One number, or octal and hexadecimal parts: what resolvers also take for an address.
            address = IPv4Address(socket.inet_aton(host))
        except OSError:
            return False
    return (getattr(address, "ipv4_mapped", None) or address).is_link_local
