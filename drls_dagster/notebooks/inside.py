"""The other side: what `drls.read` does inside a notebook, whose process has nothing but a token to ask with.

Imports nothing of the platform but its errors, so that a notebook's first read is quick.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.notebooks.places import ASK_VARIABLE, TOKEN_VARIABLE

if TYPE_CHECKING:
    import pyarrow as pa

_SECONDS = 300.0


def is_inside() -> bool:
    """Whether this process is a notebook's."""
    return ASK_VARIABLE in os.environ


def refuse_inside(what: str) -> None:
    """Raises UsageError in a notebook: it can read and nothing else. What holds it is the fence, not this."""
    if is_inside():
        raise UsageError(f"a notebook reads with drls.read and drls.tables, and changes nothing: use {what} elsewhere")


def tables(namespace: str, search: str) -> list[Any]:
    """The development tables that the notebook's person may see: of each, the fields of TableInfo."""
    asked = {"namespace": namespace, "search": search}
    with _client() as client:
        found: list[Any] = _checked(client.get("/tables", params=asked, headers=_token())).json()
        return found


def pin(asked: Mapping[str, Any]) -> tuple[str, int | None]:
    """The table's own name and its snapshot now."""
    with _client() as client:
        found = _checked(client.post("/pin", content=json.dumps(asked), headers=_token())).json()
        return found["name"], found["snapshot"]


def pipeline(name: str, text: str) -> Any:
    """What `drls.notebook_pipeline` answers: the fields of NotebookPipeline."""
    with _client() as client:
        asked = json.dumps({"name": name, "text": text})
        return _checked(client.post("/pipeline", content=asked, headers=_token())).json()


def batches(asked: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows as they come."""
    import pyarrow as pa

    client = _client()
    request = client.build_request("POST", "/rows", content=json.dumps(asked), headers=_token())
    answer = client.send(request, stream=True)
    if answer.is_error:
        answer.read()
    stream = pa.ipc.open_stream(io.BufferedReader(_Body(client, _checked(answer))))
    return pa.RecordBatchReader.from_batches(stream.schema, stream)


class _Body(io.RawIOBase):
    """An answer as a file to read from."""

    def __init__(self, client: httpx.Client, answer: httpx.Response) -> None:
        self._client, self._answer = client, answer
        self._parts: Iterator[bytes] = answer.iter_bytes()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._rest:
            try:
                self._rest = next(self._parts)
            except StopIteration:
                return 0
            except httpx.TransportError as error:
                raise DrlsError(f"the platform stopped in the middle of the rows: {error}; read them again") from None
        taken = min(len(buffer), len(self._rest))
        buffer[:taken], self._rest = self._rest[:taken], self._rest[taken:]
        return taken

    def close(self) -> None:
        self._answer.close()
        self._client.close()
        super().close()


def _client() -> httpx.Client:
    transport = httpx.HTTPTransport(uds=os.environ[ASK_VARIABLE])
    return httpx.Client(transport=transport, base_url="http://drls", timeout=_SECONDS, trust_env=False)


def _token() -> dict[str, str]:
    try:
        return {"Authorization": f"Bearer {Path(os.environ[TOKEN_VARIABLE]).read_text()}"}
    except FileNotFoundError:
        raise DrlsError("this notebook has ended; start it again: drls notebook start") from None


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        from drls_dagster.notebooks.problems import error_of

        raise error_of(answer.status_code, answer.text)
    return answer
