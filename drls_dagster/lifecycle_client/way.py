"""What the two ways to a lifecycle have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from lifecycle.spec import PipelineSpec
from lifecycle.usecases.tokens import Issued
from lifecycle.verbs.answers import Page
from lifecycle.verbs.verb import Verb

A = TypeVar("A")
_PAGE = 500


class Way(ABC):
    """Brings verbs to a lifecycle, and answers back, as the owner of one token."""

    @abstractmethod
    def run(self, verb: Verb[..., Any], given: Mapping[str, Any]) -> Any:
        """What the verb returned for these arguments; of a list, a Page. Raises LifecycleError."""

    @abstractmethod
    def code(self, spec: PipelineSpec, search_path: Sequence[Path]) -> AbstractContextManager[dict[str, str] | None]:
        """The files of a definition's local code, to be sent along; None where the store can read them itself."""

    @abstractmethod
    def here(self) -> dict[str, Any]:
        """What only this side knows of the caller: fields of MeHere."""

    @abstractmethod
    def sign_in(self, name: str, password: str, life: timedelta) -> Issued:
        """A personal token for a password."""

    @abstractmethod
    def change_password(self, name: str, password: str, old: str | None) -> None:
        """Sets the caller's own password: in a session like a browser's, because a token is not enough."""

    @abstractmethod
    def close(self) -> None:
        """Gives every connection back."""

    def ask(self, verb: Verb[..., A], given: Mapping[str, Any], *, everything: bool = False) -> A:
        """The answer; of a list that comes in pages all of them (`everything`), or as many as make `limit` items."""
        limit = verb.input.model_fields.get("limit")
        if limit is None or not verb.many:
            return verb.shown(self.run(verb, given))
        most = None if everything else given.get("limit", limit.default)
        # A list that pages both ways goes back in time unless it was asked from a beginning on.
        cursor = "before" if "before" in verb.input.model_fields and given.get("after") is None else "after"
        is_text = verb.input.model_fields[cursor].annotation is str
        asked, found = dict(given), list[Any]()
        while True:
            asked["limit"] = _PAGE if most is None else min(_PAGE, most - len(found))
            page: Page[Any] = self.run(verb, asked)
            found += page.items
            if page.next is None or len(found) == most:
                return verb.shown(Page(items=found))
            asked[cursor] = page.next if is_text else int(page.next)
