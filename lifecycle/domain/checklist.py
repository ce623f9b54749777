"""What an action asks for, a line each: shown before anybody acts, and what refuses when somebody does.

A verb has one function that answers its checks. The verb gives them to `refuse`; a page shows the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from lifecycle.errors import LifecycleError, Refused


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: whether it is fulfilled, and a sentence that is true either way.

    Of one that is not fulfilled `text` is the refusal, which says what would help; `error` is how it is raised, which
    does not travel: as JSON it is `ok` and `text`. Unpacks as (ok, text).
    """

    ok: bool
    text: str
    error: Annotated[SkipJsonSchema[type[LifecycleError]], Field(exclude=True)] = Refused

    def __iter__(self) -> Iterator[bool | str]:
        yield self.ok
        yield self.text


def refuse(checks: Iterable[Check]) -> None:
    """Raises the first of `checks` that is not fulfilled; with none, nothing happens."""
    for check in checks:
        if not check.ok:
            raise check.error(check.text)


def fulfilled(checks: Iterable[Check]) -> bool:
    """Whether nothing blocks it."""
    return all(check.ok for check in checks)
