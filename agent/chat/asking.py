"""What a tool in a chat asks with: whatever changes something waits for the person's click, whichever tool it is.

The tool's word for what it does is not enough: the verbs and mutations themselves are what is stopped. So a model that
follows an instruction it read somewhere can look, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent.tools.call import Dagster
from agent.tools.errors import ToolError
from drls_dagster.lifecycle_client.way import Way
from lifecycle.errors import Forbidden
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.tokens import Issued
from lifecycle.verbs.table import Kind, row_of
from lifecycle.verbs.verb import Verb

_MUTATES = re.compile(r"\b(?:mutation|subscription)\b")


class Consent:
    """Whether the person agreed to this call of a tool. They are asked once, by the first thing that needs it.

    `key` makes a repetition of the call do nothing twice.
    """

    def __init__(self, ask: Callable[[str], bool], key: str) -> None:
        self._ask, self.key = ask, key
        self.given: bool | None = None
        self._acts = 0

    def confirm(self, question: str) -> bool:
        """The person's answer to this call; they are asked once."""
        if self.given is None:
            self.given = self._ask(question)
        return self.given

    def require(self, what: str) -> None:
        """Raises ToolError unless the person agreed."""
        if not self.confirm(what):
            raise ToolError("the person did not agree; nothing was changed", hint="ask them what to do instead")

    def next_key(self) -> str:
        """The idempotency key of the next change that the call makes."""
        self._acts += 1
        return f"{self.key}-{self._acts}"


class AskingWay(Way):
    """Lets every verb through that reads; the others after the person agreed."""

    def __init__(self, way: Way, consent: Consent) -> None:
        self._way, self._consent = way, consent

    def run(self, verb: Verb[..., Any], given: Mapping[str, Any]) -> Any:
        row = row_of(verb)
        if row.kind is Kind.READ:
            return self._way.run(verb, given)
        if not row.agents:
            raise Forbidden(f"agents never do this ({verb.name})")
        self._consent.require(f"Let the agent do this? ({verb.name.replace('_', ' ')})")
        if "key" in verb.input.model_fields and given.get("key") is None:
            given = {**given, "key": self._consent.next_key()}
        return self._way.run(verb, given)

    def code(self, spec: PipelineSpec, search_path: Sequence[Path]) -> AbstractContextManager[dict[str, str] | None]:
        return self._way.code(spec, search_path)

    def here(self) -> dict[str, Any]:
        return self._way.here()

    def sign_in(self, name: str, password: str, life: timedelta) -> Issued:
        raise Forbidden("agents never sign in")

    def change_password(self, name: str, password: str, old: str | None) -> None:
        raise Forbidden("agents never change passwords")

    def close(self) -> None:
        """The connection is the process's own."""


class AskingDagster:
    """Dagster's GraphQL: queries pass, mutations after the person agreed."""

    def __init__(self, dagster: Dagster, consent: Consent) -> None:
        self._dagster, self._consent = dagster, consent

    @property
    def url(self) -> str:
        return self._dagster.url

    def query(
        self, document: str, variables: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> dict[str, Any]:
        # Wherever the word is: a document that only mentions it asks once too often.
        if _MUTATES.search(document):
            self._consent.require("Let the agent do this in Dagster?")
            key = key or self._consent.next_key()
        return self._dagster.query(document, variables, key=key)
