"""Tools on a real store, called as some person has them called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent.tools.call import Client, NoClient, ToolCall
from agent.tools.dispatch import LONGEST_ANSWER, find_tool, invoke
from agent.tools.schema import output_schema, size
from drls_dagster.settings import Settings
from lifecycle.domain.credentials import TokenScope
from tests.drls_dagster.lifecycle_client.conftest import World, empty_store, world  # noqa: F401

READ = frozenset({TokenScope.READ})
WRITE = frozenset({TokenScope.READ, TokenScope.WRITE})


class Asked:
    """Whoever waits for the answer: notes each question, and answers all of them alike."""

    cancelled = False

    def __init__(self, says: bool, *, can_confirm: bool = True) -> None:
        self.can_confirm = can_confirm
        self.questions: list[str] = []
        self._says = says

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Nobody looks."""

    def confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self._says


class Hands:
    """`hands("search", text="x", by="vic")` is the answer as a client gets it: short, and as its schema says."""

    def __init__(self, world: World, way: str) -> None:  # noqa: F811
        self.world = world
        self._way = way

    def __call__(
        self,
        name: str,
        /,
        *,
        by: str = "ada",
        scopes: frozenset[TokenScope] = WRITE,
        client: Client | None = None,
        unattended: bool = False,
        **arguments: Any,
    ) -> dict[str, Any]:
        call = ToolCall(
            self.world.ask(self._way, by, *scopes),
            scopes,
            Settings.model_construct(home=Path("/nowhere"), app_url="https://drls.example/"),
            unattended,
            client or NoClient(),
        )
        tool = find_tool(name, call)
        answer = invoke(tool, call, arguments).data
        Draft202012Validator(output_schema(tool)).validate(answer)
        assert size(answer) <= LONGEST_ANSWER
        return answer

    def pages(self, name: str, items: str, /, **arguments: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        page = self(name, **arguments)
        for _ in range(1_000):
            found += page[items]
            if "cursor" not in page:
                return found
            page = self(name, cursor=page["cursor"], **arguments)
        raise AssertionError(f"{name} never ends")


@pytest.fixture
def hands(world: World) -> Hands:  # noqa: F811
    return Hands(world, "store")
