"""A tool: a function with a model of what it takes and of what it answers, and what is asked of its caller."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict

from agent.tools.call import ToolCall
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.roles import Role


class Toolset(StrEnum):
    """Groups that a client can switch on; `drls1` has the tools of the first DRLS under their old names."""

    READ = "read"
    RUNS = "runs"
    BUILD = "build"
    PROPOSE = "propose"
    TABLES = "tables"
    DRLS1 = "drls1"


class Effect(StrEnum):
    """READ changes nothing. ADD makes something new and removes nothing. CHANGE alters what counts or what runs."""

    READ = "read"
    ADD = "add"
    CHANGE = "change"


class Input(BaseModel):
    """What a tool takes. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """What a tool answers. `next`: what to do now, in a line; empty when nothing suggests itself."""

    model_config = ConfigDict(frozen=True)

    next: str = ""


@dataclass(frozen=True)
class Tool:
    """`about` is what the model reads. `role` is the least that a caller has anywhere; verbs ask again, by pipeline.

    `also` are further toolsets that have it. `idempotent`: a repetition with the same arguments changes nothing more.
    """

    name: str
    title: str
    about: str
    toolset: Toolset
    role: Role
    scope: TokenScope
    effect: Effect
    idempotent: bool
    run: Callable[[ToolCall, Any], BaseModel]
    input: type[Input]
    output: type[BaseModel]
    also: tuple[Toolset, ...] = ()

    @property
    def toolsets(self) -> frozenset[Toolset]:
        """All that have it."""
        return frozenset((self.toolset, *self.also))


def tool(
    toolset: Toolset,
    *,
    role: Role = Role.VIEWER,
    effect: Effect = Effect.READ,
    idempotent: bool | None = None,
    title: str = "",
    also: tuple[Toolset, ...] = (),
) -> Callable[[Callable[[ToolCall, Any], BaseModel]], Tool]:
    """Makes a tool of a function; its name and its docstring are what the model sees."""

    def made(run: Callable[[ToolCall, Any], BaseModel]) -> Tool:
        hints = get_type_hints(run)
        given = list(inspect.signature(run).parameters)[1]
        name = run.__name__
        reads = effect is Effect.READ
        return Tool(
            name=name,
            title=title or title_of(name),
            about=inspect.getdoc(run) or "",
            toolset=toolset,
            role=role,
            scope=TokenScope.READ if reads else TokenScope.WRITE,
            effect=effect,
            idempotent=reads if idempotent is None else idempotent,
            run=run,
            input=hints[given],
            output=hints["return"],
            also=also,
        )

    return made


def title_of(name: str) -> str:
    """What people call a tool that has no title of its own."""
    return name.replace("_", " ").capitalize()
