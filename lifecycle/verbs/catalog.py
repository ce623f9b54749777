"""Looking around: what there is, where data comes from and goes to, and what happened."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le
from pydantic import StringConstraints

from lifecycle.domain.environment import Environment
from lifecycle.usecases.about_pipeline import About, about_pipeline
from lifecycle.usecases.find import Found, Kind, Wanted, find
from lifecycle.usecases.tell_history import Happened, tell_history
from lifecycle.usecases.trace import Direction, Lineage, trace
from lifecycle.verbs.answers import Page
from lifecycle.verbs.inputs import Cursor, Limit, Name, Number, PipelineName, ShortText, TableName
from lifecycle.verbs.verb import Call, answers, lists

Place = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^[^\x00]*$")]
Depth = Annotated[int, Ge(1), Le(20)]


@lists(Found)
def search(
    call: Call,
    *,
    text: ShortText = "",
    kind: Kind | None = None,
    owner: ShortText = "",
    tag: ShortText = "",
    column: ShortText = "",
    after: Place = "",
    limit: Limit = 100,
) -> Page[Found]:
    """Pipelines, tables and assets that the caller may see, by name, owner, tag (`key` or `key=value`) and column.

    Columns are those that definitions name: tables may have more.
    """
    with call.read() as (view, _):
        found = find(view, call.who, Wanted(text=text, kind=kind, owner=owner, tag=tag, column=column))
    rest = [one for one in found if one.place > after] if after else found
    page = rest[:limit]
    return Page(items=[one.found for one in page], next=page[-1].place if len(rest) > limit else None)


@answers(About)
def about(call: Call, name: Name, number: Number | None = None) -> About:
    """A pipeline in short: its steps, where it is active, its last runs, open requests, and what is in its way."""
    with call.read() as (view, _):
        return about_pipeline(view, call.who, name, number)


@answers(Lineage)
def lineage(
    call: Call, name: TableName, *, direction: Direction = Direction.BOTH, depth: Depth = 3, column: ShortText = ""
) -> Lineage:
    """What is upstream and downstream of a table or pipeline; with `column`, where that column of the table comes from.

    From the newest definitions that the caller may see.
    """
    with call.read() as (view, _):
        return trace(view, call.who, name, direction=direction, depth=depth, column=column)


@lists(Happened)
def history(
    call: Call,
    *,
    pipeline: PipelineName | None = None,
    environment: Environment | None = None,
    before: Cursor = None,
    limit: Limit = 100,
) -> Page[Happened]:
    """What happened to pipelines and environments, newest first: versions, requests, promotions, rollbacks, holds."""
    with call.read() as (view, _):
        past = tell_history(view, call.who, pipeline=pipeline, environment=environment, before=before, limit=limit)
    return Page(items=list(past.events), next=None if past.before is None else str(past.before))
