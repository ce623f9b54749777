"""Request: asks for a version to go one environment further, under the plan as it is now."""

from __future__ import annotations

from datetime import timedelta

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.planning import Planning, StoreFacts, planning
from lifecycle.domain.promotion import Ended, Promotion, State
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Pipeline, Version
from lifecycle.errors import Conflict, Invalid, Refused
from lifecycle.store.unit import Unit
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.candidate_tags import pin_candidates
from lifecycle.usecases.parts.following import follow
from lifecycle.usecases.parts.outbox import tell
from lifecycle.usecases.parts.plan_facts import data_facts, store_facts

_WITHOUT_POLICY = timedelta(days=1)


def request_promotion(
    ctx: Context,
    actor: Actor,
    name: str,
    number: int,
    target: Environment,
    *,
    reason: str = "",
    if_plan: str | None = None,
    refresh_of: int | None = None,
    key: str | None = None,
) -> Promotion:
    """A request with its plan. Into QA it needs no approval and is approved at once.

    `if_plan` (a digest) raises Conflict when the plan is another by now. Raises Refused with everything
    that blocks it. `refresh_of` withdraws that older request; its approvals are not taken over.
    """
    if target.before is None:
        raise Invalid("a version becomes active in development when you save it; promote to QA, UAT or production")
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        version = view.pipelines.numbered(pipeline, number)
        seen = store_facts(view, pipeline, version, target, requester=actor.person)
    data = data_facts(ctx.plane, seen, thorough=True)
    command = {
        "pipeline": name, "version": number, "target": target.value, "reason": reason, "if_plan": if_plan,
        "refresh_of": refresh_of,
    }  # fmt: skip
    with ctx.store.write(actor, "request_promotion", key=key, command=command) as unit:
        earlier = unit.earlier(Promotion)
        if earlier is not None:
            return earlier
        person = require(unit, actor, Role.DATA_ENGINEER, target_of(unit, pipeline, version), "requesting a promotion")
        store = store_facts(unit, pipeline, version, target, requester=person.id)
        if [one.id for one in store.receipts] != [one.id for one in seen.receipts]:
            raise Conflict(f"{name} has published in {store.source.label} in the meantime; plan again")
        _end_refreshed(unit, refresh_of)
        _refuse_second(unit, version, target)
        planned = planning(store, data, unit.now)
        _check(planned, if_plan, f"{name} v{number} to {target.label}")
        promotion = _add(
            unit,
            pipeline,
            version,
            store=store,
            planned=planned,
            reason=reason,
            refresh_of=refresh_of,
            acted_for=person.acts_for,
        )
        unit.remember(promotion)
    follow(f"pinning the candidates of request {promotion.id}", lambda: pin_candidates(ctx, promotion))
    return promotion


def _check(planned: Planning, if_plan: str | None, what: str) -> None:
    if planned.problems:
        raise Refused(f"{what} is not possible: {'; '.join(planned.problems)}")
    if if_plan is not None and if_plan != planned.plan.digest:
        raise Conflict(f"the plan for {what} has changed since you reviewed it; plan again")


def _end_refreshed(unit: Unit, refresh_of: int | None) -> None:
    if refresh_of is None:
        return
    old = unit.promotions.get(refresh_of)
    if old.state.is_open:
        unit.promotions.change(old, Ended(state=State.WITHDRAWN, outcome="replaced by a new request", at=unit.now))
        unit.audit("promotion.withdrawn", f"promotion:{old.id}", reason="replaced by a new request")


def _refuse_second(unit: Unit, version: Version, target: Environment) -> None:
    for other in (one for one in unit.promotions.unfinished(version.pipeline_id) if one.target is target):
        if other.version_id == version.id:
            raise Conflict(
                f"request {other.id} asks for the same promotion and {other.state.standing}; withdraw, "
                "refresh or resume it"
            )


def _add(
    unit: Unit,
    pipeline: Pipeline,
    version: Version,
    *,
    store: StoreFacts,
    planned: Planning,
    reason: str,
    refresh_of: int | None,
    acted_for: int | None,
) -> Promotion:
    plan = planned.plan
    free = not plan.target.governed
    promotion = unit.promotions.add(
        pipeline_id=pipeline.id,
        version_id=version.id,
        target=plan.target.value,
        state=(State.APPROVED if free else State.REQUESTED).value,
        plan=plan.model_dump(mode="json"),
        plan_digest=plan.digest,
        policy_id=plan.policy,
        requested_by=unit.actor.person,
        acted_for=acted_for,
        reason=reason,
        refresh_of=refresh_of,
        expires_at=unit.now + _WITHOUT_POLICY if free else store.expires_at,
        approved_at=unit.now if free else None,
        pinned=any(table.candidate is not None for table in plan.tables),
    )
    unit.audit(
        "promotion.requested",
        f"promotion:{promotion.id}",
        pipeline=pipeline.name,
        version=version.number,
        target=plan.target.value,
        plan=plan.digest,
        carry=plan.carry.value,
        refresh_of=refresh_of,
    )
    tell(
        unit, "promotion.requested", pipeline.name, promotion=promotion.id, version=version.number,
        target=plan.target.value, may_approve=list(planned.advice.may_approve),
    )  # fmt: skip
    return promotion
