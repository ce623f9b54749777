"""What people do to a whole pipeline: save on top of it, clone, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.pipelines.pages import Key, Message, to_saved
from lifecycle.app.pipelines.pipeline import Name, Number
from lifecycle.app.pipelines.uploads import Upload, save_sent, sent
from lifecycle.domain.checklist import fulfilled
from lifecycle.errors import Invalid
from lifecycle.usecases.clone_pipeline import clone_pipeline
from lifecycle.usecases.delete_pipeline import delete_pipeline, plan_deletion
from lifecycle.usecases.parts.visible import visible_pipeline

router = APIRouter()


@router.post("/pipelines/{name}/versions")
def upload(
    ctx: Ctx,
    request: Request,
    who: Who,
    name: Name,
    key: Key,
    on: Annotated[int, Form(ge=1, le=2**31 - 1)],
    newest: Annotated[str, Form(max_length=100)],
    file: Upload = None,
    message: Message = "",
) -> Response:
    """Saves a changed definition on top of version `on`, unless somebody saved since the page was made."""
    version = save_sent(ctx, who.actor, sent(file), message=message, key=key, name=name, on=on, newest=newest)
    return to_saved(ctx, request, version)


@router.get("/pipelines/{name}/versions/{number}/clone")
def clone_form(ctx: Ctx, request: Request, who: Who, name: Name, number: Number) -> Response:
    """Again as the newest, or under another name."""
    with ctx.store.read() as view:
        pipeline = visible_pipeline(view, who.actor, name)
        version = view.pipelines.numbered(pipeline, number)
        newest = view.pipelines.newest(pipeline.id)
        tables = view.pipelines.tables(version.id)
        owned = view.pipelines.owners(tables, but=0)
    is_newest = newest is not None and newest.id == version.id
    return render(
        request, "pipelines/clone.html", name=name, number=number, is_newest=is_newest, tables=tables, owned=owned
    )


@router.post("/pipelines/{name}/versions/{number}/clone")
def clone(
    ctx: Ctx,
    request: Request,
    who: Who,
    name: Name,
    number: Number,
    key: Key,
    to: Annotated[str, Form(max_length=63, pattern=r"^([a-z][a-z0-9_]*)?$")] = "",
) -> Response:
    """Saves the version again; without a name as the newest of its own pipeline."""
    version = clone_pipeline(ctx, who.actor, name, number, to=to or None, key=key)
    return to_saved(ctx, request, version)


@router.get("/pipelines/{name}/delete")
def delete_form(ctx: Ctx, request: Request, who: Who, name: Name) -> Response:
    """What deleting would do, before it is done."""
    deletion = plan_deletion(ctx, who.actor, name)
    possible = fulfilled(deletion.checks)
    return render(request, "pipelines/delete.html", name=name, deletion=deletion, possible=possible)


@router.post("/pipelines/{name}/delete")
def delete(
    ctx: Ctx, request: Request, who: Who, name: Name, key: Key, typed: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    """Writes the tombstone, when the name was typed."""
    if typed.strip() != name:
        raise Invalid(f"type the name {name} to delete it: this cannot be undone")
    delete_pipeline(ctx, who.actor, name, key=key)
    return done(
        request,
        "/pipelines",
        (f"{name} deleted; its versions, audit entries and tables stay, and its name stays reserved"),
    )
