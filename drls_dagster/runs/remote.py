"""The run service in another process: over its Unix socket, or over HTTPS."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from drls_dagster.runs.address import PATH, UNIX
from drls_dagster.runs.client import Way
from drls_dagster.runs.operation import Operation
from drls_dagster.runs.problems import MEDIA_TYPE, raised
from drls_dagster.runs.token import RunToken
from drls_dagster.traces.place import HEADER
from lifecycle.domain.environment import Environment
from lifecycle.errors import Unavailable

A = TypeVar("A")
SECONDS = 120.0  # for one answer: a first admission opens branches
PATIENCE = 30.0  # while the service restarts
PAUSE = 0.1


class Remote(Way):
    """`url` is `unix:/path/to/socket` or `https://host`. A lost answer is asked for again."""

    def __init__(self, url: str, token: RunToken, *, patience: float = PATIENCE) -> None:
        self._url = url
        self._token = token
        self._patience = patience
        self._mine = threading.local()  # heartbeats do not wait for an admission
        self._open: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Gives every connection back."""
        while self._open:
            self._open.pop().close()
        self._mine = threading.local()

    def carry(
        self, operation: Operation[..., A], pipeline: str, environment: Environment, given: Mapping[str, Any]
    ) -> A:
        asked = operation.takes.model_validate(dict(given)).model_dump(mode="json", exclude_unset=True)
        body = json.dumps({"pipeline": pipeline, "environment": environment.value, "given": asked})
        until = time.monotonic() + self._patience
        while True:
            try:
                status, kind, text = self._send(operation.name, body)
            except (OSError, http.client.HTTPException) as error:
                self._forget()
                if time.monotonic() > until:
                    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                    raise Unavailable(f"the run service does not answer ({told}); is `drls up` running?") from None
                time.sleep(PAUSE)
                continue
            if status == 200:
                return operation.answer.validate_json(text)
            if kind.partition(";")[0] != MEDIA_TYPE:
                raise Unavailable(f"{self._url} answers {status} and is no run service of DRLS")
            raise raised(json.loads(text))

    def _send(self, name: str, body: str) -> tuple[int, str, bytes]:
        connection = self._connection()
        headers = {"Authorization": f"Bearer {self._token.text}", "Content-Type": "application/json"}
        if self.at is not None:
            headers[HEADER] = self.at.text
        connection.request("POST", f"{self._prefix}{PATH}/{name}", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()

    @property
    def _prefix(self) -> str:
        return "" if self._url.startswith(UNIX) else urlsplit(self._url).path.rstrip("/")

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if found is None:
            found = self._mine.connection = _open(self._url)
            self._open.append(found)
        return found

    def _forget(self) -> None:
        found: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        self._mine.connection = None
        if found is not None:
            self._open.remove(found)
            with contextlib.suppress(OSError):
                found.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("runs", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _open(url: str) -> http.client.HTTPConnection:
    if url.startswith(UNIX):
        return _UnixConnection(url.removeprefix(UNIX))
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=SECONDS)
