"""One call of a tool: whom it is for, what it can ask, and who waits for the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.tools.errors import NeedsConfirmation, ToolError
from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.settings import Settings
from lifecycle.domain.credentials import TokenScope


class Dagster(Protocol):
    """Dagster's GraphQL, asked as the caller behind the door of `drls up`."""

    @property
    def url(self) -> str:
        """Where people see Dagster."""
        ...

    def query(
        self, document: str, variables: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> dict[str, Any]:
        """The `data` of the answer. Raises ToolError for what Dagster or its door refuses.

        `key` makes a launch that is sent again answer the same, and start nothing new.
        """
        ...


class Client(Protocol):
    """Whoever waits for the answer: an MCP client, or a chat."""

    @property
    def can_confirm(self) -> bool:
        """Whether a person can be asked now."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether the answer is no longer wanted."""
        ...

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Says how far the tool is."""
        ...

    def confirm(self, question: str) -> bool:
        """The person's answer. Blocks until they gave it."""
        ...


class NoClient:
    """Nobody waits: no progress, no questions."""

    can_confirm = False
    cancelled = False

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Nobody to say it to."""

    def confirm(self, question: str) -> bool:
        return False


def _no_dagster() -> Dagster:
    raise ToolError(
        "Dagster is not running, so runs can be neither read nor started", hint="start it with drls up, then try again"
    )


@dataclass(frozen=True)
class ToolCall:
    """`lifecycle` asks verbs as the agent, for its person; `scopes` are those of its token. `settings`: this machine's.

    `unattended`: the token was issued for changes that nobody confirms.

    Tools are plain functions and may block: each call runs in a thread of its own.
    """

    lifecycle: Lifecycle
    scopes: frozenset[TokenScope]
    settings: Settings
    unattended: bool = False
    client: Client = field(default_factory=NoClient)
    dagster_of: Callable[[], Dagster] = _no_dagster

    @property
    def dagster(self) -> Dagster:
        """Raises ToolError where no Dagster runs."""
        return self.dagster_of()

    def confirm(self, question: str) -> None:
        """Returns when the person agreed, or the token was issued for changes without asking.

        Raises ToolError when they said no, NeedsConfirmation where nobody can be asked.
        """
        if self.unattended:
            return
        if not self.client.can_confirm:
            raise NeedsConfirmation(question)
        if not self.client.confirm(question):
            raise ToolError("the person said no; nothing was changed", hint="ask them what to do instead")
