"""The lifecycle behind a server's REST API."""

from __future__ import annotations

from datetime import timedelta

import httpx

from drls_dagster.lifecycle_client.http.audit import HttpAudit
from drls_dagster.lifecycle_client.http.environments import HttpEnvironments
from drls_dagster.lifecycle_client.http.people import HttpPeople
from drls_dagster.lifecycle_client.http.pipelines import HttpPipelines
from drls_dagster.lifecycle_client.http.promotions import HttpPromotions
from drls_dagster.lifecycle_client.http.session import HttpSession, send
from drls_dagster.lifecycle_client.interface import Lifecycle
from lifecycle.domain.credentials import TokenScope
from lifecycle.usecases.tokens import Issued

_SECONDS = 60.0


class HttpLifecycle(Lifecycle):
    """`url` is the server's address, `host` names this machine in the tokens that it signs in with."""

    def __init__(self, url: str, token: str | None, *, host: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=_SECONDS)
        self._host = host
        session = HttpSession(self._client, token)
        self.pipelines = HttpPipelines(session)
        self.promotions = HttpPromotions(session)
        self.environments = HttpEnvironments(session)
        self.people = HttpPeople(session)
        self.audit = HttpAudit(session)

    def sign_in(self, name: str, password: str, life: timedelta) -> Issued:
        opened = send(self._client, "POST", "/api/session", json={"account": name, "password": password}).json()
        body = {
            "name": f"drls on {self._host}",
            "scopes": [scope.value for scope in TokenScope],
            "days": life.days,
        }
        try:
            headers = {"X-CSRF-Token": opened["csrf"]}
            return Issued.model_validate(
                send(self._client, "POST", "/api/me/tokens", json=body, headers=headers).json()
            )
        finally:
            send(self._client, "DELETE", "/api/session")

    def close(self) -> None:
        self._client.close()
