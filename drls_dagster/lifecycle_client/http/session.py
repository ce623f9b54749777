"""One connection to a server, with a token; what the server refuses is raised as at home."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from lifecycle.errors import Invalid, LifecycleError, StoreError, Unauthorized, Unavailable

_LOG = logging.getLogger(__name__)
_ERRORS = {error.code: error for error in LifecycleError.__subclasses__()}
_PAGE = 500


class HttpSession:
    """`client` knows the server's address. `token` None: nobody is signed in, and nothing is asked."""

    def __init__(self, client: httpx.Client, token: str | None) -> None:
        self.client = client
        self._token = token
        self._names: dict[int, str] | None = None

    def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        params: Mapping[str, object] | None = None,
        key: str | None = None,
        if_match: str | None = None,
    ) -> httpx.Response:
        """The answer to one request. Raises what the server refused, StoreError when there is none."""
        if self._token is None:
            raise Unauthorized("nobody is signed in; run: drls login")
        headers = {"Authorization": f"Bearer {self._token}"}
        headers |= {"Idempotency-Key": key} if key else {}
        headers |= {"If-Match": f'"{if_match}"'} if if_match else {}
        given = {name: value for name, value in (params or {}).items() if value is not None}
        return send(self.client, method, path, json=json, content=content, params=given, headers=headers)

    def get(self, path: str, **params: object) -> Any:
        """The JSON at `path`."""
        return self.call("GET", path, params=params).json()

    def pages(self, path: str, cursor: str, **params: object) -> Iterator[dict[str, Any]]:
        """Every item of a list; `cursor` is the parameter that pages on."""
        after: str | None = None
        while True:
            page = self.get(path, **{**params, "limit": _PAGE, cursor: after})
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def person(self, person_id: int | None) -> str | None:
        """An account's name."""
        if person_id is None:
            return None
        if self._names is None:
            try:
                self._names = {one["id"]: one["name"] for one in self.get("/api/people")["items"]}
            except LifecycleError as error:
                # A name is asked for to show what was done: that it is not to be had undoes nothing.
                _LOG.info("names of accounts are not shown: %s", error.message)
                self._names = {}
        return self._names.get(person_id, f"account {person_id}")


def send(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    """One request. Raises what the server refused, StoreError when it does not answer as a DRLS server does."""
    try:
        answer = client.request(method, path, **options)
    except httpx.TransportError as error:
        raise StoreError(f"cannot reach {client.base_url}: {error}") from None
    if answer.is_success:
        return answer
    if "problem+json" not in answer.headers.get("content-type", ""):
        raise StoreError(f"{client.base_url} answers {answer.status_code} and is no DRLS server; check DRLS_URL")
    problem = answer.json()
    if problem["status"] == Invalid.status:
        raise Invalid("\n".join(problem["errors"]) or problem["detail"])
    # A code that only the server knows: its status still says whether waiting may help.
    unknown = Unavailable if problem["status"] == Unavailable.status else LifecycleError
    raise _ERRORS.get(problem["code"], unknown)(problem["detail"])
