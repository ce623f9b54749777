"""Dagster's GraphQL behind the door of `drls up`, asked with the caller's token."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from agent.tools.errors import ToolError
from drls_dagster.errors import DrlsError
from drls_dagster.orchestrator.running_up import running_up
from drls_dagster.settings import Settings
from drls_dagster.traces.place import headers_here

READ_SECONDS = 30.0
LAUNCH_SECONDS = 90.0
STARTING_SECONDS = 60.0
_PAUSE = 1.0
_LONGEST = 1_000


class DagsterRefused(ToolError):
    """The door or Dagster said no; `code` is HTTP's."""

    def __init__(self, message: str, code: int, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class DagsterDoor:
    """One caller's way to Dagster. `token` gives the token as it is now: short ones are renewed between calls."""

    def __init__(self, url: str, token: Callable[[], str], *, http: httpx.Client | None = None) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._http = http or httpx.Client(trust_env=False, timeout=READ_SECONDS)
        self._graphql = "/dagster/graphql" if http is not None else f"{self._url}/dagster/graphql"

    @property
    def url(self) -> str:
        return f"{self._url}/dagster"

    def query(
        self, document: str, variables: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> dict[str, Any]:
        """The `data` of the answer. Raises DagsterRefused for what the door refuses, ToolError for everything else.

        Waits while Dagster starts; sends a mutation once.
        """
        answer = self._sent(document, dict(variables or {}), key)
        if answer.status_code != httpx.codes.OK:
            raise _refused(answer)
        body = _json(answer)
        if errors := body.get("errors"):
            raise ToolError(f"Dagster could not answer: {one_line(errors[0].get('message', ''))}")
        if not isinstance(body.get("data"), dict):
            told = body.get("message") or body.get("detail") or "it sent no data"
            raise ToolError(f"Dagster could not answer: {one_line(str(told))}")
        return body["data"]

    def close(self) -> None:
        self._http.close()

    def _sent(self, document: str, variables: dict[str, Any], key: str | None) -> httpx.Response:
        changes = document.lstrip().startswith("mutation")
        until = time.monotonic() + STARTING_SECONDS
        while True:
            headers = {"Authorization": f"Bearer {self._token()}", **headers_here()}
            headers |= {"Idempotency-Key": key} if key else {}
            try:
                answer = self._http.post(
                    self._graphql,
                    json={"query": document, "variables": variables},
                    headers=headers,
                    extensions={"timeout": httpx.Timeout(LAUNCH_SECONDS).as_dict()} if changes else None,
                )
            except httpx.ConnectError:
                raise ToolError(f"nothing answers at {self._url}", hint="start it with drls up") from None
            except httpx.HTTPError as error:
                raise ToolError(
                    f"{self._url} did not answer ({type(error).__name__})", hint=_again(changes, key)
                ) from None
            # The door says so before it hands anything on, so a launch can be sent again.
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > until:
                return answer
            time.sleep(_PAUSE)


def dagster_of(
    settings: Settings,
    token: Callable[[], str],
    *,
    url: str | None = None,
    http: Callable[[str], httpx.Client] | None = None,
) -> Callable[[], DagsterDoor]:
    """What ToolCall.dagster_of asks: the door at `url`, else at the setting `url`, else of this machine's `drls up`.

    `http` gives the connections to that address, for callers that keep them. Raises ToolError, when it is asked, where
    none runs.
    """
    made: dict[str, DagsterDoor] = {}

    def find() -> DagsterDoor:
        place = url or settings.url
        if place is None:
            up = running_up(settings)
            if up is None:
                raise ToolError(
                    "Dagster is not running here, so runs can be neither read nor started",
                    hint="start it with drls up, or set DRLS_URL to the server where it runs",
                )
            place = up.url
        if place not in made:
            made[place] = DagsterDoor(place, token, http=http(place) if http else None)
        return made[place]

    return find


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Text of others as one line: no control characters, and not endless."""
    plain = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def _again(changes: bool, key: str | None) -> str:
    if not changes:
        return "try again"
    if key:
        return "call again with the same key: nothing is started twice"
    return "it may have started: look with list_runs before you try again"


def _refused(answer: httpx.Response) -> DrlsError:
    told = one_line(str(_json(answer).get("detail") or f"HTTP {answer.status_code}"))
    hints = {
        401: "renew the token: drls login",
        403: "ask an Admin for a grant, or choose another pipeline",
        503: "wait a minute and try again",
    }
    return DagsterRefused(told, answer.status_code, hint=hints.get(answer.status_code, ""))


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
