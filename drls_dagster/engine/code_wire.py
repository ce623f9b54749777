"""Messages between a run's worker and the process of its own Python: JSON, and bytes behind it. None is unpickled."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

from drls_dagster.engine.framing import exactly

_LENGTHS = struct.Struct("!IQ")  # of a message's JSON, of the bytes behind it
MOST_JSON, MOST_BYTES = 2**28, 2**31
Message = tuple[dict[str, Any], list[bytes]]


class Ended(Exception):
    """The other side is gone."""


def send(line: socket.socket, said: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
    """Send one message. Raises Ended."""
    text = json.dumps({**said, "lengths": [len(blob) for blob in blobs]}).encode()
    try:
        line.sendall(b"".join([_LENGTHS.pack(len(text), sum(map(len, blobs))), text, *blobs]))
    except OSError as error:
        raise Ended(str(error)) from None


def receive(line: socket.socket) -> Message:
    """The next message. Raises Ended, also for one that is not a message: nobody speaks like that here."""
    text_length, length = _LENGTHS.unpack(_exactly(line, _LENGTHS.size))
    if text_length > MOST_JSON or length > MOST_BYTES:
        raise Ended("the message is too long")
    try:
        said: dict[str, Any] = json.loads(_exactly(line, text_length))
        lengths: list[int] = said.pop("lengths")
        whole = memoryview(_exactly(line, length))
        ends = [sum(lengths[: number + 1]) for number in range(len(lengths))]
        blobs = [bytes(whole[end - one : end]) for end, one in zip(ends, lengths, strict=True)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Ended(f"not a message: {error}") from None
    return said, blobs


def _exactly(line: socket.socket, length: int) -> bytearray:
    try:
        return exactly(line, length)
    except (EOFError, OSError) as error:
        raise Ended(str(error)) from None
