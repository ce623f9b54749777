"""What lists show to whom."""

from __future__ import annotations

from lifecycle.domain.people import Actor, ScopeKind, role_on
from lifecycle.store.unit import View
from lifecycle.usecases.access import target_of, targets_of


def sees_everything(view: View, actor: Actor) -> bool:
    """Whether a grant of the actor reaches every pipeline."""
    return any(grant.scope is ScopeKind.EVERYTHING for grant in view.people.grants(actor.person or 0))


def visible_pipelines(view: View, actor: Actor) -> frozenset[str] | None:
    """The names of the pipelines that grants of the actor reach; None: all of them."""
    grants = view.people.grants(actor.person or 0)
    if any(grant.scope is ScopeKind.EVERYTHING for grant in grants):
        return None
    names = view.pipelines.names()
    targets = targets_of(view, [(pipeline_id, None) for pipeline_id in names])
    return frozenset(
        names[pipeline_id] for (pipeline_id, _), target in targets.items() if role_on(grants, target) is not None
    )


def sees(view: View, actor: Actor, pipeline_id: int) -> bool:
    """Whether the actor has any role on this pipeline."""
    if sees_everything(view, actor):
        return True
    person = view.people.get(actor.person or 0)
    return view.people.standing(person, target_of(view, view.pipelines.get(pipeline_id))).role is not None
