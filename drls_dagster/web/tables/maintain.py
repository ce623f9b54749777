"""Maintaining a table: the plan of an operation, and starting exactly that one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from drls_dagster.web.tables import links
from drls_dagster.web.tables.frame import Asked, Frame, frame_of, page
from drls_dagster.web.tables.operating import NAMES, SAYS, doable, figures, may_operate
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.operations import OperationKind, Options
from lifecycle.errors import Invalid, NotFound
from lifecycle.usecases import operate_table
from lifecycle.verbs.maintenance import options_of

router = APIRouter()
_TEXT = r"^[^\x00]*$"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The options as they were typed; what is empty is the operation's default."""

    strategy: str = ""
    columns: str = ""
    where: str = ""
    every_file: bool = False
    retain_last: str = ""
    days: str = ""
    remove: bool = False
    older_than: str = ""

    @property
    def given(self) -> dict[str, str]:
        names = ("strategy", "columns", "where", "retain_last", "days", "older_than")
        texts = {name: str(getattr(self, name)) for name in names}
        marks = {name: "true" for name in ("every_file", "remove") if getattr(self, name)}
        return {name: value for name, value in texts.items() if value} | marks


def chosen_in_query(
    strategy: Annotated[str, Query(max_length=20)] = "",
    columns: Annotated[str, Query(max_length=2_000, pattern=_TEXT)] = "",
    where: Annotated[str, Query(max_length=2_000, pattern=_TEXT)] = "",
    every_file: Annotated[bool, Query()] = False,
    retain_last: Annotated[str, Query(max_length=10)] = "",
    days: Annotated[str, Query(max_length=10)] = "",
    remove: Annotated[bool, Query()] = False,
) -> Chosen:
    return Chosen(strategy, columns.strip(), where.strip(), every_file, retain_last.strip(), days.strip(), remove)


def chosen_in_form(
    strategy: Annotated[str, Form(max_length=20)] = "",
    columns: Annotated[str, Form(max_length=2_000)] = "",
    where: Annotated[str, Form(max_length=2_000)] = "",
    every_file: Annotated[bool, Form()] = False,
    retain_last: Annotated[str, Form(max_length=10)] = "",
    days: Annotated[str, Form(max_length=10)] = "",
    remove: Annotated[bool, Form()] = False,
    older_than: Annotated[str, Form(max_length=40)] = "",
) -> Chosen:
    return Chosen(
        strategy, columns.strip(), where.strip(), every_file, retain_last.strip(), days.strip(), remove, older_than
    )


@router.get("/tables/{name}/maintain")
def plan(
    ctx: Ctx,
    request: Request,
    who: Who,
    at: Asked,
    kind: Annotated[OperationKind, Query()],
    chosen: Annotated[Chosen, Depends(chosen_in_query)],
) -> Response:
    """What the operation would do now; changes nothing."""

    def made(frame: Frame) -> Mapping[str, Any]:
        if kind not in doable(ctx):
            raise NotFound("this page does not exist")
        fixed = chosen
        if kind is OperationKind.EXPIRE and chosen.days:
            # The plan that is started later names the same moment.
            fixed = replace(chosen, days="", older_than=(ctx.clock.now() - _days(chosen.days)).isoformat())
        shown: dict[str, Any] = {
            "kind": kind,
            "name": NAMES[kind],
            "says": SAYS[kind],
            "chosen": chosen,
            "fixed": fixed,
            "wrong": "",
        }
        with ctx.store.read() as view:
            shown["lacks"] = may_operate(view, who.actor, at.name)
        try:
            found = operate_table.plan_operation(ctx, who.actor, kind, at, None, options_for(kind, fixed))
        except Invalid as error:
            return {**shown, "wrong": error.message, "plan": None, "figures": ()}
        return {**shown, "plan": found, "figures": figures(found.figures)}

    return page(ctx, request, who, at, "maintain", made)


@router.post("/tables/{name}/maintain")
def start(
    ctx: Ctx,
    request: Request,
    who: Who,
    at: Asked,
    kind: Annotated[OperationKind, Form()],
    digest: Annotated[str, Form(max_length=100)],
    chosen: Annotated[Chosen, Depends(chosen_in_form)],
) -> Response:
    """Starts the operation whose plan was looked at; another plan is refused."""
    frame_of(ctx, who, at)
    options = options_for(kind, chosen)
    found = operate_table.start_operation(ctx, who.actor, kind, at, None, options, digest=digest)
    return done(request, f"{links.OPERATIONS}/{found.id}", f"{NAMES[kind]} was started.", "warn")


def options_for(kind: OperationKind, chosen: Chosen) -> Options:
    """Raises Invalid for what does not fit."""
    match kind:
        case OperationKind.COMPACT:
            columns = [one.strip() for one in chosen.columns.split(",") if one.strip()]
            given: dict[str, Any] = {"columns": columns, "where": chosen.where, "all": chosen.every_file}
            return options_of(kind, given | ({"strategy": chosen.strategy} if chosen.strategy else {}))
        case OperationKind.EXPIRE:
            named = {"retain_last": chosen.retain_last, "older_than": chosen.older_than}
            return options_of(kind, {name: text for name, text in named.items() if text})
        case OperationKind.ORPHANS:
            older = {"older_than": _days(chosen.days)} if chosen.days else {}
            return options_of(kind, {"dry_run": not chosen.remove, **older})
        case OperationKind.VACUUM:
            return options_of(kind, {"orphans": {"dry_run": not chosen.remove}})
        case OperationKind.MANIFESTS:
            return options_of(kind, {})


def _days(text: str) -> timedelta:
    try:
        return timedelta(days=float(text))
    except (ValueError, OverflowError):
        raise Invalid(f"{text!r} is not a number of days") from None
