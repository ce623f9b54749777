"""Comment: a remark on a request, kept as it was written."""

from __future__ import annotations

from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Comment
from lifecycle.domain.roles import Role
from lifecycle.errors import Invalid
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of

MAX_COMMENT = 10_000


def comment_promotion(ctx: Context, actor: Actor, promotion_id: int, body: str, *, key: str | None = None) -> Comment:
    """Adds a remark, also to a request that is over."""
    text = body.strip()
    if not text or len(text) > MAX_COMMENT:
        raise Invalid(f"a comment must have 1 to {MAX_COMMENT} characters; this one has {len(text)}")
    command = {"promotion": promotion_id, "body": text}
    with ctx.store.write(actor, "comment_promotion", key=key, command=command) as unit:
        earlier = unit.earlier(Comment)
        if earlier is not None:
            return earlier
        promotion = unit.promotions.get(promotion_id)
        pipeline = unit.pipelines.get(promotion.pipeline_id)
        person = require(unit, actor, Role.VIEWER, target_of(unit, pipeline), "commenting")
        comment = unit.promotions.add_comment(promotion_id, person.id, text)
        unit.audit("promotion.commented", f"promotion:{promotion_id}", comment=comment.id)
        return unit.remember(comment)
