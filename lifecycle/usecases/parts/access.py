"""Who may do what to which pipeline: asked inside the transaction that does it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple

from lifecycle.domain.checklist import Check
from lifecycle.domain.people import Actor, Grant, Person, PersonKind, ScopeKind, Target, common_tags, role_on
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Pipeline, Version
from lifecycle.errors import Forbidden, Unauthorized
from lifecycle.store.unit import View
from lifecycle.usecases.parts.specs import spec_of


def target_of(view: View, pipeline: Pipeline, version: Version | None = None) -> Target:
    """A pipeline as grants see it.

    Tags count only where every version concerned has them: `version` (else the newest) and what is
    active in UAT and production. So a new version cannot change who may decide about it.
    """
    if not view.people.has_grants_by_tag():
        # Then nobody asks for tags, and finding them takes most of the time.
        return Target(pipeline=pipeline.name)
    newest = version.digest if version else view.pipelines.newest_digest(pipeline.id)
    active = (one for one in view.deployments.active_everywhere(pipeline.id) if one.environment.governed)
    digests = [one for one in (newest, *(one.deployed_digest for one in active)) if one is not None]
    return Target(pipeline=pipeline.name, tags=common_tags(_tags(view, pipeline.id, digest) for digest in digests))


def pipelines_reached(view: View, grants: Sequence[Grant]) -> frozenset[int]:
    """The pipelines, deleted ones too, on which these living grants give any role, as `target_of` sees them."""
    newest = view.pipelines.newest_digests()
    asked = [Asked(pipeline_id, name, digest) for pipeline_id, (name, digest) in newest.items()]
    roles = zip(asked, _roles(view, grants, asked), strict=True)
    return frozenset(one.pipeline_id for one, role in roles if role is not None)


def roles_on(view: View, grants: Sequence[Grant], version_ids: Iterable[int]) -> dict[int, Role | None]:
    """By version: the role that these living grants give, as `target_of` sees its pipeline with that version."""
    if all(grant.scope is ScopeKind.EVERYTHING for grant in grants):
        return dict.fromkeys(version_ids, role_on(grants, Target()))
    named = view.pipelines.named_versions(frozenset(version_ids))
    return dict(zip(named, _roles(view, grants, [Asked(*one) for one in named.values()]), strict=True))


class Asked(NamedTuple):
    """A pipeline, and the version of it that is in question."""

    pipeline_id: int
    pipeline: str
    digest: str


def _roles(view: View, grants: Sequence[Grant], asked: Sequence[Asked]) -> list[Role | None]:
    """The role that these living grants give on each: as few queries for a thousand as for one."""
    by_tag = any(grant.scope is ScopeKind.TAG for grant in grants)
    targets = _targets(view, asked) if by_tag else [Target(pipeline=one.pipeline) for one in asked]
    # Some people have a grant for each of hundreds of pipelines.
    named: dict[str, list[Grant]] = {}
    for grant in grants:
        if grant.scope is ScopeKind.PIPELINE:
            named.setdefault(grant.scope_value, []).append(grant)
    wide = [grant for grant in grants if grant.scope is not ScopeKind.PIPELINE]
    return [role_on([*wide, *named.get(target.pipeline or "", ())], target) for target in targets]


def _targets(view: View, asked: Sequence[Asked]) -> list[Target]:
    """`target_of` for many versions at once."""
    governed = view.deployments.governed_digests()
    concerned = [[one.digest, *governed.get(one.pipeline_id, ())] for one in asked]
    tags = _all_tags(view, {digest for digests in concerned for digest in digests})
    return [
        Target(pipeline=one.pipeline, tags=common_tags(tags.get(digest, {}) for digest in digests))
        for one, digests in zip(asked, concerned, strict=True)
    ]


# A digest says all of a spec, so what was read once for it stays true.
_known_tags: dict[str, dict[str, str]] = {}
_MOST_KNOWN = 50_000


def _tags(view: View, pipeline_id: int, digest: str) -> dict[str, str]:
    if digest not in _known_tags:
        version = view.pipelines.with_digest(pipeline_id, digest)
        if version is None:
            return {}
        if len(_known_tags) >= _MOST_KNOWN:
            _known_tags.clear()
        _known_tags[digest] = dict(spec_of(version).tags)
    return _known_tags[digest]


def _all_tags(view: View, digests: Set[str]) -> dict[str, dict[str, str]]:
    missing = sorted(digests - _known_tags.keys())
    if len(_known_tags) + len(missing) > _MOST_KNOWN:
        _known_tags.clear()
        missing = sorted(digests)
    for digest, text in view.pipelines.specs(missing).items():
        _known_tags[digest] = dict(json.loads(text).get("tags", {}))
    return {digest: _known_tags[digest] for digest in digests if digest in _known_tags}


def require(view: View, actor: Actor, role: Role, target: Target, doing: str) -> Person:
    """The acting person, who has `role` on `target`.

    Raises Unauthorized for the system (it is nobody), Forbidden when the role is missing, also to the
    person that a service account acts for. An agent has the role where its person has it, no other way (A8).
    """
    if actor.person is None:
        raise Unauthorized(f"{doing} requires a signed-in person; sign in with drls login")
    person = view.people.get(actor.person)
    if person.disabled_at is not None:
        raise Unauthorized(f"the account {person.name} is disabled; ask an Admin")
    asked = [person]
    if person.acts_for is not None:
        behind = view.people.get(person.acts_for)
        if behind.disabled_at is not None:
            raise Unauthorized(f"the account {behind.name}, for whom {person.name} acts, is disabled; ask an Admin")
        if person.kind is not PersonKind.AGENT:
            asked.append(behind)
    for one in asked:
        has = view.people.standing(one, target).role
        if has is None or not has.includes(role):
            raise Forbidden(
                f"{doing} needs the role {role.value} on {_where(target)}; {one.name} has "
                f"{has.value if has else 'none'}: ask an Admin for a grant"
            )
    return person


def require_somewhere(view: View, actor: Actor, role: Role, doing: str) -> None:
    """Raises Forbidden for somebody who has the role on no pipeline, also if whom they act for has it on none."""
    person = view.people.get(actor.person or 0)
    asked = [person] if person.acts_for is None else [person, view.people.get(person.acts_for)]
    for one in asked:
        if not any(grant.role.includes(role) for grant in view.people.grants(one.id)):
            raise Forbidden(f"{doing} needs the role {role.value} on a pipeline; ask an Admin for a grant")


def role_check(view: View, actor: Actor, role: Role, target: Target, doing: str) -> Check:
    """The same as `require`, as a line of a checklist."""
    try:
        person = require(view, actor, role, target, doing)
    except (Unauthorized, Forbidden) as error:
        return Check(False, error.message, type(error))
    return Check(True, f"{person.name} has the role {role.value} on {_where(target)}")


def people_with(view: View, role: Role, target: Target) -> tuple[str, ...]:
    """The names of the people who have `role` on `target`: whom somebody without it can ask."""
    return tuple(
        person.name
        for person, standing in view.people.standings(target)
        if person.kind is PersonKind.HUMAN
        and person.disabled_at is None
        and standing.role is not None
        and standing.role.includes(role)
    )


def _where(target: Target) -> str:
    return f"pipeline {target.pipeline}" if target.pipeline else "this installation"


def human_check(view: View, actor: Actor, doing: str) -> Check:
    """The same as `require_human` of an actor who is a person of the store, as a line of a checklist."""
    person = view.people.get(actor.person or 0)
    try:
        require_human(person, doing)
    except Forbidden as error:
        return Check(False, error.message, type(error))
    return Check(True, f"{person.name} is a person, not a service account")


def require_human(person: Person, doing: str) -> None:
    """Raises Forbidden for service accounts and agents: decisions are people's (L6)."""
    if person.kind is not PersonKind.HUMAN:
        what = "an agent" if person.kind is PersonKind.AGENT else "a service account"
        raise Forbidden(f"{person.name} is {what}; only people may do this: {doing}")
