"""A registry of schemas for the tests: a small server with the two questions of Confluent's REST interface.

And what writes Avro, independent of what reads it.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from pyiceberg.avro.encoder import BinaryEncoder


class SchemaRegistry:
    """`asked` are the paths of requests. `says` answers one path with something else: a status, headers, a body."""

    def __init__(self, user: str, password: str) -> None:
        self.login = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        self.schemas: dict[int, dict[str, Any]] = {}
        self.subjects: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.says: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.url = ""

    def register(self, subject: str, schema: Any, **more: Any) -> int:
        """The id of a new version of the subject."""
        number = len(self.schemas) + 7
        self.schemas[number] = {"schema": json.dumps(schema), **more}
        self.subjects.setdefault(subject, []).append(number)
        return number

    def answer(self, path: str) -> dict[str, Any] | None:
        match [unquote(part) for part in path.strip("/").split("/")]:
            case ["schemas", "ids", number]:
                return self.schemas.get(int(number))
            case ["subjects", subject, "versions", version]:
                known = self.subjects.get(subject, [])
                if int(version) > len(known):
                    return None
                number = known[int(version) - 1]
                return {"subject": subject, "version": int(version), "id": number, **self.schemas[number]}
            case _:
                return None


@contextmanager
def running_registry(user: str, password: str) -> Iterator[SchemaRegistry]:
    """Answers until the block ends."""
    registry = SchemaRegistry(user, password)

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.asked.append(self.path)
            found = registry.answer(self.path)
            if self.headers.get("Authorization") != registry.login:
                status, headers, body = 401, {}, b'{"error_code": 401}'
            elif self.path in registry.says:
                status, headers, body = registry.says[self.path]
            elif found is None:
                status, headers, body = 404, {}, b'{"error_code": 40403}'
            else:
                status, headers, body = 200, {}, json.dumps(found).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    registry.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def record(*values: int | str | float | bool | bytes) -> bytes:
    """The values of a record's fields, in order, as Avro; int is int and long, float is double."""
    out = io.BytesIO()
    encoder = BinaryEncoder(out)
    for value in values:
        match value:
            case bool():
                encoder.write_boolean(value)
            case int():
                encoder.write_int(value)
            case float():
                encoder.write_double(value)
            case str():
                encoder.write_utf8(value)
            case bytes():
                encoder.write_bytes(value)
    return out.getvalue()


def framed(schema: int, content: bytes) -> bytes:
    """A message as a registry's clients write it."""
    return b"\0" + schema.to_bytes(4, "big") + content
