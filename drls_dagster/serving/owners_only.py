"""HTTP over a Unix socket for the processes of one user."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_CREDENTIALS = struct.Struct("3i")


class OwnersOnly(AutoHTTPProtocol):
    """HTTP for processes of this user alone, whoever else may open the socket."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if peer_uid(transport.get_extra_info("socket")) != os.geteuid():
            transport.close()
            return
        super().connection_made(transport)


def peer_uid(connection: socket.socket) -> int:
    """The user of the process at the other end of a Unix socket."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(found)[1]
