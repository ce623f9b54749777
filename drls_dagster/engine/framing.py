"""JSON messages over a stream socket, and a file descriptor along with one."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

MOST = 4 * 2**20  # bytes of a message from a process that is not trusted
_LENGTH = struct.Struct(">I")


def send(connection: socket.socket, message: dict[str, Any], *descriptors: int) -> None:
    data = json.dumps(message).encode()
    if descriptors:
        socket.send_fds(connection, [_LENGTH.pack(len(data))], descriptors)
        connection.sendall(data)
    else:
        connection.sendall(_LENGTH.pack(len(data)) + data)


def receive(connection: socket.socket, most: int | None = None) -> dict[str, Any]:
    """The next message. Raises EOFError at the end, ValueError where it is too long or no object of JSON."""
    return _rest(connection, exactly(connection, _LENGTH.size), most)


def receive_with_descriptor(connection: socket.socket) -> tuple[dict[str, Any], int | None]:
    """The next message, from a trusted process, and the descriptor that came with it."""
    head, descriptors, _, _ = socket.recv_fds(connection, _LENGTH.size, 1)
    if not head:
        raise EOFError
    head += exactly(connection, _LENGTH.size - len(head))
    return _rest(connection, head, None), descriptors[0] if descriptors else None


def _rest(connection: socket.socket, head: bytes | bytearray, most: int | None) -> dict[str, Any]:
    (length,) = _LENGTH.unpack(head)
    if most is not None and length > most:
        raise ValueError(f"a message of {length} bytes is too long")
    message = json.loads(exactly(connection, length))
    if not isinstance(message, dict):
        raise ValueError("a message is no object of JSON")
    return message


def exactly(connection: socket.socket, count: int) -> bytearray:
    """The next `count` bytes. Raises EOFError where the other side ends before."""
    found = bytearray(count)
    view, got = memoryview(found), 0
    while got < count:
        here = connection.recv_into(view[got:])
        if not here:
            raise EOFError("the other side is gone")
        got += here
    return found
