"""What is wrong with a pipeline file, in words for the person who wrote it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.errors import DrlsError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the node (None for the pipeline itself), the field, what, and what to do."""

    node: str | None
    field: str | None
    message: str
    remedy: str | None = None

    def __str__(self) -> str:
        where = ", ".join(part for part in (f"node '{self.node}'" if self.node else None, self.field) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}; {self.remedy}" if self.remedy else text


class SpecError(DrlsError, ValueError):
    """A pipeline definition is not valid. `problems` lists all problems; the message has one line for each.

    `file` is the pipeline file, if any; each line of the message then starts with it.
    """

    status = 422
    code = "invalid_definition"
    exit_code = 2

    def __init__(self, problems: Iterable[Problem], file: str | None = None) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.file = file
        super().__init__(self.problems, file)

    def __str__(self) -> str:
        start = f"{self.file}: " if self.file else ""
        return "\n".join(start + str(problem) for problem in self.problems)


class FieldError(ValueError):
    """A value that a field cannot take, with the remedy apart, so that it can become a `Problem`."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message}; {remedy}" if remedy else message)


def did_you_mean(wrong: str, known: Iterable[str]) -> str | None:
    """The known word nearest to `wrong`, as a question; None when nothing is near."""
    words = {word.lower(): word for word in known}
    near = difflib.get_close_matches(wrong.lower()[:100], list(words), n=1, cutoff=0.6)
    return f"did you mean '{words[near[0]]}'?" if near else None


def shorten(value: object, limit: int = 60) -> str:
    """A value as it may appear in a message: one line, at most `limit` characters."""
    text = " ".join(str(value)[: limit * 4].split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
