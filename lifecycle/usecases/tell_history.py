"""History: what happened to pipelines and environments, newest first, as the audit log has it.

The log itself is for Admins; this shows what concerns the pipelines that the reader sees.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lifecycle.audit.chain import Entry
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion, State
from lifecycle.store.unit import View
from lifecycle.usecases.parts.visible import visible_ids, visible_pipeline
from lifecycle.usecases.unreviewed import REVIEWED

# What happened, in words; {…} are fields of the entry, or of its request.
WORDS = {
    "version.saved": "saved v{version}",
    "pipeline.deleted": "deleted the pipeline",
    "promotion.requested": "requested v{version} for {target}",
    "rollback.requested": "rolled production back to v{version}",
    "glass.broken": "put v{version} into {target} without approval",
    "promotion.approved_by": "approved request {request}",
    "promotion.rejected_by": "rejected request {request}",
    "promotion.approved": "completed the quorum of request {request}",
    "promotion.lapsed": "reopened request {request}",
    "promotion.withdrawn": "withdrew request {request}",
    "promotion.expired": "ended request {request}: it expired",
    "promotion.stale": "ended request {request}: it was stale",
    "promotion.failed": "could not finish request {request}",
    "promotion.done": "promoted v{version} to {target}",
    REVIEWED: "reviewed the release of request {request}",
    "deployment.started": "made v{version} active in {target}",
    "deployment.ended": "ended a version in {target}",
    "drift.found": "found an unexplained write to {table}",
    "drift.adopted": "adopted an unexplained write to {table}",
    "drift.reverted": "reverted an unexplained write to {table}",
    "freeze.set": "froze {target}",
    "freeze.lifted": "lifted a freeze of {target}",
    "stop.set": "stopped runs in {target}",
    "stop.lifted": "lifted a stop of {target}",
    "policy.set": "set the policy of {target}",
}
_SCANNED = 2_000  # entries for one page at most: the next page continues where this one ended


class Happened(Frozen):
    """An event. `by` is who did it, `acted_for` for whom; `reason` is theirs, or why the system did it."""

    sequence: int
    at: datetime
    what: str
    by: str
    acted_for: str | None = None
    pipeline: str | None = None
    environment: Environment | None = None
    version: int | None = None
    request: int | None = None
    reason: str = ""


class Past(Frozen):
    """`before`: where the next page begins; None at the end."""

    events: tuple[Happened, ...]
    before: int | None


def tell_history(
    view: View,
    actor: Actor,
    *,
    pipeline: str | None = None,
    environment: Environment | None = None,
    before: int | None = None,
    limit: int = 100,
) -> Past:
    """Raises NotFound or Forbidden for a `pipeline` that the actor may not see."""
    if pipeline is not None:
        visible_pipeline(view, actor, pipeline)
    reader = _Reader(view, actor)
    subjects = None
    if pipeline is not None:
        own = view.lists.ids(states=tuple(State), pipeline_ids=[view.pipelines.named(pipeline).id])
        subjects = [f"pipeline:{pipeline}", *(f"promotion:{one}" for one in own)]
    found: list[Happened] = []
    scanned = 0
    while scanned < _SCANNED:
        page = view.log.told(tuple(WORDS), subjects=subjects, before=before, limit=200)
        for entry in page:
            before = entry.sequence
            event = reader.read(entry)
            if event is not None and environment in (None, event.environment):
                found.append(event)
            if len(found) == limit:
                return Past(events=tuple(found), before=before)
        scanned += len(page)
        if len(page) < 200:
            return Past(events=tuple(found), before=None)
    return Past(events=tuple(found), before=before)


class _Reader:
    """Reads entries, as far as the reader may see what they are about."""

    def __init__(self, view: View, actor: Actor) -> None:
        self._view = view
        self._only = visible_ids(view, actor)
        self._names = None if self._only is None else frozenset(view.pipelines.names(self._only).values())
        self._promotions: dict[int, Promotion] = {}

    def read(self, entry: Entry) -> Happened | None:
        """None for what the reader may not see."""
        kind, _, name = entry.subject.partition(":")
        body = entry.body
        promotion = self._promotion(int(name)) if kind == "promotion" else None
        pipeline = promotion.plan.pipeline if promotion else name if kind == "pipeline" else body.get("pipeline")
        if pipeline is not None and self._names is not None and pipeline not in self._names:
            return None
        where = _where(entry, promotion)
        version = promotion.plan.version if promotion else body.get("version")
        said = {
            "version": version,
            "request": promotion and promotion.id,
            "table": body.get("table"),
            "target": where.label if where else "the environment",
        }
        actor = entry.actor
        return Happened(
            sequence=entry.sequence,
            at=entry.at,
            what=WORDS[entry.verb].format(**said),
            by=str(actor.get("name", "the system")),
            acted_for=self._acted_for(actor),
            pipeline=pipeline,
            environment=where,
            version=version,
            request=promotion and promotion.id,
            reason=_reason(body, promotion, entry.verb),
        )

    def _promotion(self, promotion_id: int) -> Promotion:
        if promotion_id not in self._promotions:
            self._promotions[promotion_id] = self._view.promotions.get(promotion_id)
        return self._promotions[promotion_id]

    def _acted_for(self, actor: dict[str, Any]) -> str | None:
        """For whom a service or an agent did it, where it is known of the account."""
        person = actor.get("person")
        if not isinstance(person, int):
            return None
        owner = self._view.people.get(person).acts_for
        return None if owner is None else self._view.people.get(owner).name


def _where(entry: Entry, promotion: Promotion | None) -> Environment | None:
    if promotion is not None:
        return promotion.target
    kind, _, name = entry.subject.partition(":")
    if kind == "environment":
        return Environment(name)
    if entry.verb == "version.saved":
        return Environment.DEVELOPMENT
    given = entry.body.get("environment")
    if isinstance(given, str):
        return Environment(given)
    ref = entry.body.get("ref")
    return next((one for one in Environment if one.ref == ref), None)


def _reason(body: dict[str, Any], promotion: Promotion | None, verb: str) -> str:
    reason = body.get("reason")
    if isinstance(reason, str) and reason:
        return reason
    return promotion.reason if promotion is not None and verb == "promotion.requested" else ""
