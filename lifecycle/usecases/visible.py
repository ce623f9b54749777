"""What lists show to whom."""

from __future__ import annotations

from lifecycle.domain.people import Actor, ScopeKind
from lifecycle.store.unit import View


def sees_everything(view: View, actor: Actor) -> bool:
    """Whether a grant of the actor reaches every pipeline."""
    return any(grant.scope is ScopeKind.EVERYTHING for grant in view.people.grants(actor.person or 0))
