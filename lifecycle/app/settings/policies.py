"""Policies: what a promotion needs, in words; and changing that with its meaning in sight."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from lifecycle.app.kit import links
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Visitor, Who, form_of
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.settings.policy_form import PolicyFields, fields_of, policy_of_fields, read_fields
from lifecycle.app.settings.policy_view import Meaning, meaning, scope_of, scopes
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Target
from lifecycle.domain.policy import Policy
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Pipeline
from lifecycle.errors import NotFound
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.visible import sees
from lifecycle.usecases.set_policy import set_policy

router = APIRouter()
Key = Annotated[str, Form(max_length=100)]
Fields = Annotated[FormData, Depends(form_of)]
InQuery = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]
InForm = Annotated[str, Form(max_length=100, pattern=r"^[^\x00]*$")]
Revision = Annotated[int, Form(ge=0, le=2**53)]


@router.get("/settings/policies")
def policies(ctx: Ctx, request: Request, who: Who) -> Response:
    """Every environment's policy in words, and the pipelines that have their own."""
    with ctx.store.read() as view:
        environments, own = scopes(view, who.actor)
    return render(request, "settings/policies.html", environments_=environments, own=own, admin=who.has(Role.ADMIN))


@router.get("/settings/policies/{environment}")
def policy(ctx: Ctx, request: Request, who: Who, environment: Environment, pipeline: InQuery = "") -> Response:
    """One policy: in words, what it means now, and how it came to be."""
    _refuse_development(environment)
    with ctx.store.read() as view:
        found = _pipeline(view, who, pipeline)
        history = view.policies.history(environment, found.id if found else None)
        setters = {person.id: person.name for person in view.people.all()}
        force = _in_force(view, environment, found)
        meant = meaning(view, environment, found, force, force)
    past = [scope_of(environment, pipeline or None, one, setters) for one in history]
    # What each revision changed against the one before it.
    none: tuple[str, ...] = ()
    before = [(none, none), *(_changes(old.words, new.words) for old, new in pairwise(past))]
    newest = history[-1] if history else None
    return render(
        request,
        "settings/policy.html",
        environment=environment,
        pipeline=found.name if found else None,
        own=newest is not None and newest.body is not None,
        newest=newest,
        meaning=meant,
        history=list(zip(past, before, strict=False))[::-1],
        admin=who.has(Role.ADMIN),
    )


@router.get("/settings/policies/{environment}/edit")
def edit(ctx: Ctx, request: Request, who: Who, environment: Environment, pipeline: InQuery = "") -> Response:
    """The form, filled with what is in force."""
    _refuse_development(environment)
    with ctx.store.read() as view:
        found = _admins_pipeline(view, who, pipeline)
        force = _in_force(view, environment, found)
        revision = view.policies.revision(environment, found.id if found else None)
        meant = meaning(view, environment, found, force, force, saved=True)
    fields = fields_of(force or Policy())
    return _form(request, environment, found, fields, meant, revision.id if revision else 0)


@router.post("/settings/policies/{environment}/preview")
def preview(
    ctx: Ctx,
    request: Request,
    who: Who,
    environment: Environment,
    form: Fields,
    revision: Revision,
    pipeline: InForm = "",
) -> Response:
    """What the fields mean; changes nothing."""
    _refuse_development(environment)
    fresh, fields = policy_of_fields(read_fields(form), environment)
    with ctx.store.read() as view:
        found = _admins_pipeline(view, who, pipeline)
        present = _in_force(view, environment, found)
        meant = meaning(view, environment, found, fresh, present, saved=True) if fresh else None
    if "hx-request" not in request.headers:
        return _form(request, environment, found, fields, meant, revision)
    return render(request, "settings/policy_preview.html", pipeline=found, meaning=meant, fields=fields, errors=True)


@router.post("/settings/policies/{environment}")
def save(
    ctx: Ctx,
    request: Request,
    who: Who,
    environment: Environment,
    form: Fields,
    revision: Revision,
    key: Key,
    pipeline: InForm = "",
) -> Response:
    """Sets the policy over the revision that the form was made from."""
    _refuse_development(environment)
    body, fields = policy_of_fields(read_fields(form), environment)
    if body is None:
        if "hx-request" in request.headers:
            return render(request, "settings/policy_errors.html", status=422, fields=fields)
        with ctx.store.read() as view:
            found = _admins_pipeline(view, who, pipeline)
        return _form(request, environment, found, fields, None, revision, status=422)
    after = set_policy(ctx, who.actor, environment, pipeline or None, body, if_revision=revision, key=key)
    told = "Nothing changed: the policy stays the same." if after.id == revision else "The policy is now in effect."
    return done(request, links.policy(environment, pipeline or None), told)


@router.get("/settings/policies/{environment}/delete")
def before_deleting(ctx: Ctx, request: Request, who: Who, environment: Environment, pipeline: InQuery = "") -> Response:
    """What removing a policy would mean."""
    _refuse_development(environment)
    with ctx.store.read() as view:
        found = _admins_pipeline(view, who, pipeline)
        newest = view.policies.revision(environment, found.id if found else None)
        if newest is None or newest.body is None:
            raise NotFound("there is no such policy")
        general = view.policies.revision(environment, None)
        then = general.body if found and general else None
        meant = meaning(view, environment, found, then, newest.body)
    return render(
        request,
        "settings/policy_delete.html",
        environment=environment,
        pipeline=found.name if found else None,
        meaning=meant,
        revision=newest.id,
    )


@router.post("/settings/policies/{environment}/delete")
def delete(
    ctx: Ctx,
    request: Request,
    who: Who,
    environment: Environment,
    revision: Revision,
    key: Key,
    pipeline: InForm = "",
) -> Response:
    """Takes a pipeline's own policy, or an environment's, away."""
    set_policy(ctx, who.actor, environment, pipeline or None, None, if_revision=revision, key=key)
    return done(request, links.policies(), "Policy removed.")


def _form(
    request: Request,
    environment: Environment,
    pipeline: Pipeline | None,
    fields: PolicyFields,
    meant: Meaning | None,
    revision: int,
    *,
    status: int = 200,
) -> Response:
    return render(
        request,
        "settings/policy_edit.html",
        status=status,
        environment=environment,
        pipeline=pipeline.name if pipeline else None,
        fields=fields,
        meaning=meant,
        revision=revision,
        errors=False,
    )


def _in_force(view: View, environment: Environment, pipeline: Pipeline | None) -> Policy | None:
    if pipeline is not None:
        found = view.policies.in_force(environment, pipeline.id)
    else:
        found = view.policies.revision(environment, None)
    return found.body if found else None


def _pipeline(view: View, who: Visitor, name: str) -> Pipeline | None:
    """The pipeline of this name, which the visitor may see; None without a name."""
    if not name:
        return None
    found = view.pipelines.named(name)
    if not sees(view, who.actor, found.id):
        require(view, who.actor, Role.VIEWER, target_of(view, found), "reading a policy")
    return found


def _admins_pipeline(view: View, who: Visitor, name: str) -> Pipeline | None:
    require(view, who.actor, Role.ADMIN, Target(), "setting a policy")
    return view.pipelines.named(name) if name else None


def _changes(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    gone = tuple(line for line in before if line not in after)
    return gone, tuple(line for line in after if line not in before)


def _refuse_development(environment: Environment) -> None:
    if environment is Environment.DEVELOPMENT:
        raise NotFound("development needs no approval; policies are for QA, UAT and production")
