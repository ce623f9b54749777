"""What lists show to whom, and who may look at one thing."""

from __future__ import annotations

from lifecycle.domain.people import Actor, ScopeKind
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Pipeline
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import pipelines_reached, require, target_of
from lifecycle.usecases.parts.rounds import Trouble, troubles


def sees_everything(view: View, actor: Actor) -> bool:
    """Whether a grant of the actor reaches every pipeline."""
    return any(grant.scope is ScopeKind.EVERYTHING for grant in view.people.grants(actor.person or 0))


def sees(view: View, actor: Actor, pipeline_id: int) -> bool:
    """Whether the actor has any role on this pipeline."""
    if sees_everything(view, actor):
        return True
    person = view.people.get(actor.person or 0)
    return view.people.standing(person, target_of(view, view.pipelines.get(pipeline_id))).role is not None


def visible_troubles(view: View, actor: Actor) -> tuple[Trouble, ...]:
    """What could not be handled, of the pipelines that the actor sees; what is of no pipeline, for who sees all."""
    found = troubles(view)
    only = visible_ids(view, actor)
    if only is None:
        return found
    names = {view.pipelines.get(one).name for one in only}
    return tuple(one for one in found if one.pipeline in names)


def visible_ids(view: View, actor: Actor) -> frozenset[int] | None:
    """The pipelines on which the actor has any role; None: all of them. For lists, which ask once for all rows."""
    grants = view.people.grants(actor.person or 0)
    if any(grant.scope is ScopeKind.EVERYTHING for grant in grants):
        return None
    return pipelines_reached(view, grants)


def visible_pipeline(view: View, actor: Actor, name: str) -> Pipeline:
    """The pipeline of this name. Raises NotFound, or Forbidden for who may not look at it."""
    pipeline = view.pipelines.named(name)
    require(view, actor, Role.VIEWER, target_of(view, pipeline), "reading a pipeline")
    return pipeline


def visible_request(
    view: View, actor: Actor, promotion_id: int, role: Role = Role.VIEWER, doing: str = "reading a request"
) -> Promotion:
    """A request to promote. Raises NotFound, or Forbidden for who has not `role` on its pipeline."""
    promotion = view.promotions.get(promotion_id)
    require(view, actor, role, target_of(view, view.pipelines.get(promotion.pipeline_id)), doing)
    return promotion
