"""The lifecycle behind a server's REST API: verbs travel as the table says."""

from __future__ import annotations

import base64
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from drls_dagster.errors import UsageError
from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.lifecycle_client.way import Way
from drls_dagster.settings import Settings
from lifecycle.addresses import is_protected
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.people import WAY_IN, WayIn
from lifecycle.errors import Forbidden, Invalid, LifecycleError, StoreError, Unauthorized, Unavailable
from lifecycle.spec import PipelineSpec, local_code
from lifecycle.usecases.tokens import Issued
from lifecycle.verbs.answers import Page
from lifecycle.verbs.carrying import Place, places
from lifecycle.verbs.table import Row, row_of
from lifecycle.verbs.verb import Verb

_ERRORS = {error.code: error for error in LifecycleError.__subclasses__()}
SECONDS = 60.0


def refuse_in_the_clear(settings: Settings, url: str) -> None:
    """A token sent over plain HTTP belongs to everybody on the way. Raises UsageError where it would be."""
    if not settings.insecure_http and not is_protected(url):
        raise UsageError(
            f"{url} is plain HTTP to another machine, so your token could be read in transit; use https://, "
            "or set DRLS_INSECURE_HTTP=1 if the network itself is protected"
        )


class HttpLifecycle(Lifecycle):
    """`url` is the server's address, `host` names this machine in the tokens that it signs in with.

    `token` None: nobody is signed in, and nothing is asked. `way_in` tells the server
    how the calls of an agent came; of people it believes nothing.
    """

    def __init__(self, url: str, token: str | None, *, host: str, way_in: WayIn | None = None) -> None:
        headers = {} if way_in is None else {WAY_IN: way_in.value}
        super().__init__(HttpWay(httpx.Client(base_url=url, timeout=SECONDS, headers=headers), token, host))


class HttpWay(Way):
    """Asks the server that `client` knows. What it refuses raises the same errors as locally."""

    def __init__(self, client: httpx.Client, token: str | None, host: str) -> None:
        self._client = client
        self._token = token
        self._host = host

    def run(self, verb: Verb[..., Any], given: Mapping[str, Any]) -> Any:
        if self._token is None:
            raise Unauthorized("nobody is signed in; run: drls login")
        row = row_of(verb)
        request = _request(row, given)
        request["headers"]["Authorization"] = f"Bearer {self._token}"
        return _value(row, self._send(row.method, **request))

    @contextmanager
    def code(self, spec: PipelineSpec, search_path: Sequence[Path]) -> Generator[dict[str, str] | None]:
        files = local_code(spec, search_path).files
        yield {name: base64.b64encode(content).decode() for name, content in files.items()} or None

    def here(self) -> dict[str, Any]:
        # Another way in is a matter of the server's Admins; forgetting a token here shuts nobody out for good.
        return {"store": str(self._client.base_url), "can_return": True}

    def sign_in(self, name: str, password: str, life: timedelta) -> Issued:
        body = {"name": f"drls on {self._host}", "scopes": [scope.value for scope in TokenScope], "days": life.days}
        with self._session(name, password) as headers:
            return Issued.model_validate(self._send("POST", "/api/me/tokens", json=body, headers=headers).json())

    def change_password(self, name: str, password: str, old: str | None) -> None:
        if old is None:
            raise Forbidden("set your first password on your profile page in the app; a token is not enough for it")
        with self._session(name, old) as headers:
            self._send("PUT", "/api/me/password", json={"password": password, "old": old}, headers=headers)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _session(self, name: str, password: str) -> Generator[dict[str, str]]:
        """A browser's session, for as long as the context lasts; the headers that changes need in it."""
        opened = self._send("POST", "/api/session", json={"account": name, "password": password}).json()
        try:
            yield {"X-CSRF-Token": opened["csrf"]}
        finally:
            self._send("DELETE", "/api/session")

    def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Raises what the server refused, StoreError when it does not answer as a DRLS server does."""
        try:
            answer = self._client.request(method, url, **options)
        except httpx.TransportError as error:
            raise StoreError(f"cannot reach {self._client.base_url}: {error}") from None
        if answer.is_success:
            return answer
        if "problem+json" not in answer.headers.get("content-type", ""):
            raise StoreError(
                f"{self._client.base_url} answers {answer.status_code} and is no DRLS server; check DRLS_URL"
            )
        problem = answer.json()
        if problem["status"] == Invalid.status:
            raise Invalid("\n".join(problem["errors"]) or problem["detail"])
        # A code that only the server knows: its status still says whether waiting may help.
        unknown = Unavailable if problem["status"] == Unavailable.status else LifecycleError
        raise _ERRORS.get(problem["code"], unknown)(problem["detail"])


def _request(row: Row, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, each where the row's verb has it carried."""
    url, headers, params, body = row.path, dict[str, str](), dict[str, Any](), dict[str, Any]()
    request: dict[str, Any] = {}
    for name, one in places(row).items():
        value = one.dump(given[name]) if name in given else None
        if value is None:
            continue
        match one.place:
            case Place.PATH:
                url = url.replace(f"{{{name}}}", one.quoted(value))
            case Place.HEADER:
                headers[one.name] = one.quoted(value)
            case Place.QUERY:
                params[one.name] = value
            case Place.BODY:
                body[one.name] = value
            case Place.WHOLE:
                request["content" if isinstance(value, bytes) else "json"] = value
    if any(one.place is Place.BODY for one in places(row).values()):
        request["json"] = body
    return {"url": url, "headers": headers, "params": params, **request}


def _value(row: Row, answer: httpx.Response) -> Any:
    """What the verb returned at the server. The ETag is the field that the row names, where nothing else has it."""
    if row.verb.answer is bytes:
        return answer.content
    if row.status == 204:
        return None
    value = answer.json()
    if row.verb.many:
        return Page[Any].model_validate(value)
    tag = answer.headers.get("ETag", "").strip('"')
    return {row.etag: tag, **value} if row.etag and tag else value
