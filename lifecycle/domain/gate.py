"""May a version run here? One rule, asked at every way in (L1, L9, L10)."""

from __future__ import annotations

from enum import StrEnum

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.run import AdmissionState
from lifecycle.domain.version import Label


class Action(StrEnum):
    """DEFINE: show it in the code location. ADMIT: a new run. RUN: one continues. PUBLISH: it writes."""

    DEFINE = "define"
    ADMIT = "admit"
    RUN = "run"
    PUBLISH = "publish"


class Answer(Frozen):
    """`reason` is for people: what, why, and who can change it; empty when allowed without remark."""

    allowed: bool
    reason: str = ""


class GateFacts(Frozen):
    """What the store says. No `number`: it has no such version; `stopped` is the reason of a stop."""

    deleted: bool
    version_id: int | None
    number: int | None
    spec: str | None
    active_id: int | None
    label: Label | None
    active_number: int | None
    stopped: str | None
    admission: AdmissionState | None
    why: str | None


def decide(action: Action, environment: Environment, name: str, facts: GateFacts | None, *, intact: bool) -> Answer:
    """The rule. `intact`: the stored spec still has the digest that it was saved under."""
    where = environment.label
    if facts is None or facts.deleted:
        return _no(f"there is no pipeline {name}; save it with drls pipeline save")
    if facts.number is None:
        return _no(f"{name} has no such version in the store; save it with drls pipeline save")
    version = f"{name} v{facts.number}"
    if not intact:
        return _no(f"{version} was changed in the database: its digest does not match; restore a backup")
    if facts.stopped is not None and action is not Action.DEFINE:
        return _no(f"{name} is stopped in {where} ({facts.stopped}); a LeadDataEngineer can lift the stop")
    if action in (Action.RUN, Action.PUBLISH):
        return _of_admission(facts, version, where)
    if facts.active_id is not None and facts.active_id == facts.version_id:
        return Answer(allowed=True, reason="unreviewed release" if facts.label is Label.UNREVIEWED else "")
    if facts.active_number is None:
        return _no(f"{version} is not active in {where}; promote it: drls promote {name} --to {environment.value}")
    return _no(f"{version} is not active in {where}: v{facts.active_number} is; promote {version} to run it")


def _of_admission(facts: GateFacts, version: str, where: str) -> Answer:
    match facts.admission:
        case None:
            return _no(f"this run of {version} was not admitted in {where}; launch it through DRLS")
        case AdmissionState.REVOKED:
            return _no(f"this run of {version} may not continue in {where}: {facts.why}")
        case AdmissionState.FINISHED:
            return _no(f"this run of {version} has ended; launch a new one")
        case AdmissionState.QUEUED | AdmissionState.RUNNING:
            return Answer(allowed=True)


def _no(reason: str) -> Answer:
    return Answer(allowed=False, reason=reason)
