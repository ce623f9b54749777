"""May a version run here? One rule, asked at every way in (L1, L9, L10)."""

from __future__ import annotations

from enum import StrEnum

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.policy import Hold
from lifecycle.domain.run import Admission, AdmissionState
from lifecycle.domain.version import Deployment, Label


class Action(StrEnum):
    """DEFINE: show it in the code location. ADMIT: a new run. RUN: one goes on. PUBLISH: it writes."""

    DEFINE = "define"
    ADMIT = "admit"
    RUN = "run"
    PUBLISH = "publish"


class Answer(Frozen):
    """`reason` is for people: what, why, and who can change it; empty when allowed without remark."""

    allowed: bool
    reason: str = ""


def decide(
    action: Action,
    environment: Environment,
    *,
    name: str,
    number: int | None,
    intact: bool,
    active: Deployment | None,
    active_number: int | None,
    is_active: bool,
    stop: Hold | None,
    admission: Admission | None,
) -> Answer:
    """The rule. `number` None: no such version is stored; `intact`: the stored spec has its digest."""
    where = environment.value
    if number is None:
        return _no(f"{name} has no such version in the store; save it with drls pipeline save")
    if not intact:
        return _no(f"{name} v{number} was changed in the database: its digest is wrong; restore a backup")
    if stop is not None and action is not Action.DEFINE:
        return _no(f"{name} is stopped in {where} ({stop.reason}); a LeadDataEngineer can lift the stop")
    if action in (Action.RUN, Action.PUBLISH):
        return _of_admission(admission, name, number, where)
    if is_active and active is not None:
        unreviewed = active.label is Label.UNREVIEWED
        return Answer(allowed=True, reason="unreviewed release" if unreviewed else "")
    if active_number is None:
        return _no(f"{name} v{number} is not active in {where}; promote it: drls promote {name} --to {where}")
    return _no(
        f"{name} v{number} is not active in {where}: v{active_number} is; promote v{number} to change that"
    )


def _of_admission(admission: Admission | None, name: str, number: int, where: str) -> Answer:
    if admission is None:
        return _no(f"this run of {name} v{number} was not admitted in {where}; launch it through DRLS")
    if admission.state is AdmissionState.REVOKED:
        return _no(f"this run of {name} v{number} may not go on in {where}: {admission.why}")
    if admission.state is AdmissionState.FINISHED:
        return _no(f"this run of {name} v{number} is over; launch a new one")
    return Answer(allowed=True)


def _no(reason: str) -> Answer:
    return Answer(allowed=False, reason=reason)
