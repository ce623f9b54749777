"""Who may do something to several pipelines at once, or to the whole installation, from outside the lifecycle."""

from __future__ import annotations

from collections.abc import Iterable

from lifecycle.domain.people import Actor, ScopeKind, Target, role_on
from lifecycle.domain.roles import Role
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.visible import sees


def require_on(view: View, actor: Actor, role: Role, pipelines: Iterable[str], doing: str) -> None:
    """Raises Forbidden unless the acting person has `role` on each of these pipelines, saved or not."""
    for name in sorted(set(pipelines)):
        known = view.pipelines.find(name)
        require(view, actor, role, Target(pipeline=name) if known is None else target_of(view, known), doing)


def require_everywhere(view: View, actor: Actor, role: Role, doing: str) -> None:
    """Raises Forbidden unless a grant on everything gives the acting person `role`."""
    require(view, actor, role, Target(), doing)


def widest_roles(view: View, person_id: int) -> tuple[Role | None, Role | None]:
    """A person's role on everything, and the highest one on anything."""
    grants = view.people.grants(person_id)
    highest = max((grant.role for grant in grants), key=lambda role: role.rank, default=None)
    wide = [grant for grant in grants if grant.scope is ScopeKind.EVERYTHING]
    return role_on(wide, Target()), highest


def sees_pipeline(view: View, actor: Actor, name: str) -> bool:
    """Whether the acting person has any role on this pipeline; not where it was never saved."""
    known = view.pipelines.find(name)
    return known is not None and sees(view, actor, known.id)
