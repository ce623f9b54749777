"""People who reach DRLS through the ingress only: with passwords, sessions and tokens, over TLS."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.lifecycle_client.http import HttpWay
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.roles import Role
from tests.k8s.given_secrets import HOST
from tests.k8s.ingress import URL

GRAPHQL = "/dagster/graphql"
_LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_STATUS = "query($r: ID!) { runOrError(runId: $r) { ... on Run { status } } }"
_OVER = {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass(frozen=True)
class Door:
    """The one address, and the certificate that proves it."""

    certificate: Path
    opened: list[httpx.Client] = field(default_factory=list)

    def browser(self, **headers: str) -> httpx.Client:
        trust = ssl.create_default_context(cafile=str(self.certificate))
        client = httpx.Client(base_url=URL, verify=trust, headers={"Host": HOST, **headers}, timeout=120)
        self.opened.append(client)
        return client

    def close(self) -> None:
        for client in self.opened:
            client.close()

    def person(self, name: str, password: str) -> Person:
        """Somebody who has an own password: a token of theirs, as `drls login` asks for one."""
        anonymous = Lifecycle(HttpWay(self.browser(), None, "tests"))
        issued = anonymous.sign_in(name, password, timedelta(days=1))
        return Person(name, password, issued.secret, self)

    def newcomer(self, admin: Person, called: str, role: Role, pipeline: str | None = None) -> Person:
        """A new account with a role, on one pipeline or all, whose first password is changed at once (L6)."""
        name = f"{called}-{secrets.token_hex(3)}"
        scope = ScopeKind.PIPELINE if pipeline else ScopeKind.EVERYTHING
        admin.lifecycle.people.add(name)
        admin.lifecycle.people.grant(role, person=name, scope=scope, scope_value=pipeline or "")
        given, own = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
        admin.lifecycle.people.set_password(name, given)
        Lifecycle(HttpWay(self.browser(), "none", "tests")).way.change_password(name, own, given)
        return self.person(name, own)


@dataclass(frozen=True)
class Person:
    name: str
    password: str
    token: str
    door: Door

    @cached_property
    def lifecycle(self) -> Lifecycle:
        return Lifecycle(HttpWay(self.door.browser(), self.token, "tests"))

    @cached_property
    def session(self) -> httpx.Client:
        return self.door.browser(Authorization=f"Bearer {self.token}")

    def dagster(
        self, query: str, variables: Mapping[str, Any] | None = None, *, seconds: float = 180
    ) -> httpx.Response:
        """What Dagster answers, once it has started. Until then its door says to try again, or the ingress that none answers."""
        until = time.monotonic() + seconds
        while True:
            answer = self.session.post(GRAPHQL, json={"query": query, "variables": dict(variables or {})})
            if answer.status_code not in {502, 503, 504} or time.monotonic() > until:
                return answer
            time.sleep(2)

    def tried_to_launch(self, pipeline: str, environment: Environment, partition: str) -> dict[str, Any]:
        """What Dagster answers, once it has been asked."""
        selector = {"repositoryLocationName": environment.value, "repositoryName": "__repository__"}
        tags = [{"key": "dagster/partition", "value": partition}]
        answer = self.dagster(
            _LAUNCH,
            {
                "p": {
                    "selector": {**selector, "pipelineName": pipeline},
                    "mode": "default",
                    "executionMetadata": {"tags": tags},
                }
            },
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["launchRun"]

    def launch(self, pipeline: str, environment: Environment, partition: str, *, seconds: float = 180) -> str:
        """The id of a new run, once the environment's code location has the pipeline."""
        until = time.monotonic() + seconds
        while (launched := self.tried_to_launch(pipeline, environment, partition))["__typename"] != "LaunchRunSuccess":
            assert time.monotonic() < until, launched
            time.sleep(2)
        return launched["run"]["runId"]

    def status(self, run: str) -> str:
        answer = self.dagster(_STATUS, {"r": run})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["runOrError"]["status"]

    def ended(self, run: str, *, seconds: float = 900) -> str:
        until = time.monotonic() + seconds
        while (status := self.status(run)) not in _OVER:
            assert time.monotonic() < until, f"run {run} is still {status}"
            time.sleep(2)
        return status
