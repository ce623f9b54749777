"""From a token to calls of tools: whom an agent acts for, and what its tools ask with."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import httpx

from agent.tools.call import Client, NoClient, ToolCall
from agent.tools.dagster import READ_SECONDS, dagster_of
from agent.tools.errors import ToolError
from drls_dagster.kept_tokens import kept_token
from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.lifecycle_client.http import SECONDS, HttpWay, refuse_in_the_clear
from drls_dagster.lifecycle_client.local import LocalWay
from drls_dagster.lifecycle_client.opening import host, open_existing, os_user
from drls_dagster.maintenance.port import adapters_with_maintenance
from drls_dagster.settings import Settings
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.people import WAY_IN, WayIn
from lifecycle.errors import Unauthorized
from lifecycle.verbs import people

# An agent's token is renewed when it has less than this many seconds left: calls may take long.
RENEW_SECONDS = 600
_MOST = 1_000


@dataclass(frozen=True)
class Agent:
    """An agent and its person, as long as `token` is good: until `until`, on the clock of time.monotonic."""

    token: str = field(repr=False)
    name: str
    person: str
    scopes: frozenset[TokenScope]
    unattended: bool
    until: float

    @property
    def owner(self) -> str:
        """The agent and its person, as one word."""
        return f"{self.name}/{self.person}"

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.until - RENEW_SECONDS


class Callers:
    """Turns whatever token is shown into the agent of its person, and gives tools what they ask with.

    Verbs are asked of the server at `settings.url`, or of the store here, which is opened once, by the first call.
    `agent` names the agent among those of a person; a token that already is an agent's stays as it is.
    """

    def __init__(self, settings: Settings, *, agent: str, way_in: WayIn = WayIn.MCP) -> None:
        self.settings = settings
        self._agent = agent
        self._way_in = way_in
        # Neither changes as long as the process runs, and both take their time.
        self._host, self._os_user = host(), os_user()
        self._known: OrderedDict[str, Agent] = OrderedDict()
        self._line = threading.Lock()
        self._opening = threading.Lock()
        self._ctx: Any = None
        self._client: httpx.Client | None = None
        self._doors: dict[str, httpx.Client] = {}

    def kept(self) -> str:
        """The token of DRLS_TOKEN, or the one that `drls login` kept. Raises Unauthorized without one."""
        found = kept_token(self.settings)
        if found is None:
            raise Unauthorized(
                f"nobody is signed in at {self.settings.home}; run drls up once, which makes you its first Admin, or: "
                "drls login; DRLS_TOKEN and DRLS_HOME choose others"
            )
        return found

    def agent_of(self, token: str) -> Agent:
        """The agent of the token's person. Raises Unauthorized for a wrong, expired or revoked token."""
        name = hashlib.sha256(token.encode()).hexdigest()
        with self._line:
            found = self._known.get(name)
        if found is not None and found.is_fresh:
            # What was revoked since ends here, not when the agent's own token does.
            self._check(found.token)
            return found
        made = self._made(token)
        with self._line:
            self._known[name] = made
            self._known.move_to_end(name)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return made

    def call(self, agent: Agent, client: Client | None = None) -> ToolCall:
        """A call of a tool as this agent."""
        return ToolCall(
            lifecycle=self._lifecycle(agent.token),
            scopes=agent.scopes,
            settings=self.settings,
            unattended=agent.unattended,
            client=client or NoClient(),
            dagster_of=dagster_of(self.settings, lambda: agent.token, http=self._door),
        )

    def close(self) -> None:
        """Gives every connection back."""
        for one in (self._client, *self._doors.values()):
            if one is not None:
                one.close()
        if self._ctx is not None:
            self._ctx.store.close()

    def open(self) -> None:
        """Opens the store, or the connection to the server. Raises StoreError where that cannot be."""
        with self._opening:
            if self.settings.url and self._client is None:
                refuse_in_the_clear(self.settings, self.settings.url)
                self._client = httpx.Client(base_url=self.settings.url, timeout=SECONDS, headers=self._way)
            elif not self.settings.url and self._ctx is None:
                self._ctx = open_existing(self.settings, adapters_with_maintenance(self.settings))

    def _made(self, token: str) -> Agent:
        began = time.monotonic()
        given = self._lifecycle(token)
        me = given.ask(people.me, {})
        if me.agent:
            # Its own end is asked of the lifecycle with every call.
            return _agent(token, me, began + RENEW_SECONDS + 300)
        signed = given.ask(people.agent_token, {"agent": self._agent})
        return _agent(signed.token, self._lifecycle(signed.token).ask(people.me, {}), began + signed.expires_in)

    def _check(self, token: str) -> None:
        """Raises LifecycleError for a token that is no longer good."""
        self.open()
        if self._client is None:
            self._local(token).check()
        else:
            self._lifecycle(token).ask(people.me, {})

    def _lifecycle(self, token: str) -> Lifecycle:
        self.open()
        return Lifecycle(self._local(token) if self._client is None else HttpWay(self._client, token, self._host))

    def _local(self, token: str) -> LocalWay:
        return LocalWay(self._ctx, token, host=self._host, os_user=self._os_user, way_in=self._way_in)

    def _door(self, url: str) -> httpx.Client:
        with self._opening:
            if url not in self._doors:
                self._doors[url] = httpx.Client(base_url=url, trust_env=False, timeout=READ_SECONDS, headers=self._way)
            return self._doors[url]

    @property
    def _way(self) -> dict[str, str]:
        """The header that says how an agent's calls came."""
        return {WAY_IN: self._way_in.value}


def _agent(token: str, me: people.Me, until: float) -> Agent:
    if not me.agent:
        raise ToolError("this token became nobody's agent", hint="issue another: drls token issue --agent NAME")
    return Agent(
        token=token,
        name=me.agent,
        person=me.acts_for,
        scopes=frozenset(me.scopes),
        unattended=me.unattended,
        until=until,
    )
