"""Compare: an approved plan with the present. What is shown as stale is what execution would find (L12)."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle.domain.model import Frozen
from lifecycle.domain.plan import FieldChange, Plan, plan_changes
from lifecycle.domain.planning import planning
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.readiness import Waiting, waits_for
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.deciding import policy_of
from lifecycle.usecases.parts.one_writer import other_writers
from lifecycle.usecases.parts.plan_facts import data_facts, store_facts
from lifecycle.usecases.parts.specs import is_intact


class Comparison(Frozen):
    """What is not as approved: the fields of the plan that moved, and what else blocks it."""

    changes: tuple[FieldChange, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """What execution would end the request with; empty when everything is as approved."""
        return "; ".join(map(str, self.changes)) if self.changes else "; ".join(self.problems)


def compare_plan(
    ctx: Context, promotion: Promotion, *, thorough: bool = False, alive: Callable[[], None] = lambda: None
) -> Comparison:
    """Computes the plan again, with the approved candidates and receipts, and compares. Changes nothing.

    `thorough`: files are verified as far as the policy asks (L17); `alive` is called every few seconds meanwhile.
    There is nothing left to compare when refs have begun to move.
    """
    approved: Plan = promotion.plan
    with ctx.store.read() as view:
        if view.promotions.journal(promotion.id):
            return Comparison()
        pipeline = view.pipelines.get(promotion.pipeline_id)
        version = view.pipelines.version(promotion.version_id)
        active = view.deployments.active(pipeline.id, promotion.target)
        store = store_facts(
            view, pipeline, version, promotion.target, approved=approved, expires_at=promotion.expires_at
        )
        now = view.now
        writers = other_writers(view, pipeline, version)
    if not is_intact(version) or version.digest != approved.spec_digest:
        return Comparison(problems=("spec_digest: the stored version is not the approved one; restore a backup",))
    if approved.kind != "promote":
        found = active.deployed_digest if active else None
        problem = writers if found == approved.replaces else f"replaces: {approved.replaces} → {found}"
        return Comparison(problems=(problem,) if problem else ())
    data = data_facts(ctx.plane, store, approved, thorough=thorough, alive=alive)
    fresh = planning(store, data, now, approved)
    return Comparison(changes=plan_changes(approved, fresh.plan), problems=fresh.problems)


def waiting_of(view: View, promotion: Promotion) -> Waiting | None:
    """What an approved request waits for before it executes: a freeze, a window, soak."""
    if promotion.plan.kind == "break-glass":
        return None
    freeze = view.policies.holding(HoldKind.FREEZE, promotion.target, promotion.pipeline_id)
    if promotion.plan.kind == "rollback":
        # A rollback does not wait for windows and soak: it repairs.
        return waits_for(None, freeze, Policy(), view.now)
    source = view.deployments.active(promotion.pipeline_id, promotion.plan.source)
    return waits_for(source, freeze, policy_of(view, promotion), view.now)
