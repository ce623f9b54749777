"""Who gets notifications, on real ports: a webhook, and as much of a mail server as a client needs."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar


class Hook:
    """A webhook's receiver; `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append((dict(self.headers), body))
                self.send_response(hook.status)
                if hook.status == 307:
                    self.send_header("Location", f"{hook.url}/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


class Mailbox:
    """A mail server; `refuses` is what it answers to a letter instead of taking it."""

    def __init__(self) -> None:
        self.refuses = b""
        self.letters: list[bytes] = []
        mailbox = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 test\r\n")
                while line := self.rfile.readline().decode().strip():
                    verb = line.split(" ")[0].upper()
                    if verb == "DATA":
                        self.wfile.write(b"354 go on\r\n")
                        letter: list[bytes] = []
                        while (text := self.rfile.readline().rstrip(b"\r\n")) != b".":
                            letter.append(text)
                        mailbox.letters += [] if mailbox.refuses else [b"\r\n".join(letter)]
                    answer = mailbox.refuses if verb == "DATA" and mailbox.refuses else b"250 ok"
                    self.wfile.write(b"221 bye\r\n" if verb == "QUIT" else answer + b"\r\n")
                    if verb == "QUIT":
                        return

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]


Server = TypeVar("Server", Hook, Mailbox)


@contextmanager
def listening(made: Server) -> Iterator[Server]:
    """Answers until the block ends."""
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        stop(made)
        thread.join(10)


def stop(made: Hook | Mailbox) -> None:
    """From now on nobody answers there; stopping twice is stopping once."""
    made.server.shutdown()
    made.server.server_close()
