"""Offers: what a person may do with a request now, and what blocks it: asked of the verbs themselves."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion, Started, Verdict, apply
from lifecycle.domain.roles import Role
from lifecycle.errors import LifecycleError, is_refusal
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.deciding import check_open, check_waiting, require_voice
from lifecycle.usecases.refresh_promotion import check_refreshable
from lifecycle.usecases.review_release import require_reviewer
from lifecycle.usecases.withdraw_promotion import require_withdrawer


class Offers(Frozen):
    """By verb: what blocks it, a line each in the words of the refusal; empty when it may be done."""

    approve: tuple[str, ...]
    reject: tuple[str, ...]
    withdraw: tuple[str, ...]
    refresh: tuple[str, ...]
    execute: tuple[str, ...]
    review: tuple[str, ...]


def offers(view: View, actor: Actor, promotion: Promotion) -> Offers:
    """What `actor` may do with `promotion`. Each verb asks the same again, inside its transaction."""
    return Offers(
        approve=_refusals(
            lambda: check_waiting(promotion, view.now),
            lambda: require_voice(view, actor, promotion, Verdict.APPROVE),
        ),
        reject=_refusals(
            lambda: check_open(promotion, "rejected"),
            lambda: require_voice(view, actor, promotion, Verdict.REJECT),
        ),
        withdraw=_refusals(
            lambda: check_open(promotion, "withdrawn"), lambda: require_withdrawer(view, actor, promotion)
        ),
        refresh=_refusals(
            lambda: check_refreshable(promotion),
            lambda: _require_engineer(view, actor, promotion, "requesting a promotion"),
        ),
        execute=_refusals(
            lambda: apply(promotion, Started(executor=actor.name, lease_until=view.now, now=view.now)),
            lambda: _require_engineer(view, actor, promotion, "executing"),
        ),
        review=_refusals(lambda: require_reviewer(view, actor, promotion, Verdict.APPROVE)),
    )


def _refusals(*checks: Callable[[], object]) -> tuple[str, ...]:
    found: list[str] = []
    for check in checks:
        try:
            check()
        except LifecycleError as error:
            if not is_refusal(error):
                raise
            found.append(error.message)
    return tuple(found)


def _require_engineer(view: View, actor: Actor, promotion: Promotion, doing: str) -> None:
    pipeline = view.pipelines.get(promotion.pipeline_id)
    require(view, actor, Role.DATA_ENGINEER, target_of(view, pipeline), doing)
