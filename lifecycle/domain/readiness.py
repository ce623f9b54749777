"""What an approved request still waits for: freezes, windows, soak (L8, L9)."""

from __future__ import annotations

from datetime import datetime

from lifecycle.domain.duration import write_duration
from lifecycle.domain.model import Frozen
from lifecycle.domain.policy import Hold, Policy
from lifecycle.domain.version import Deployment
from lifecycle.domain.windows import closed_now


class Waiting(Frozen):
    """Nothing is wrong, it is not time yet. `until` is None when a person must act, or nobody knows."""

    why: str
    until: datetime | None = None


def waits_for(active: Deployment | None, freeze: Hold | None, policy: Policy, now: datetime) -> Waiting | None:
    """None when a request whose version is active (`active`) in its source may execute at `now`."""
    if freeze is not None:
        return Waiting(why=f"{freeze.environment.label} is frozen: {freeze.reason}")
    closed = closed_now(policy.windows, now)
    if closed is not None:
        return Waiting(why=closed.why, until=closed.until)
    if active is not None and active.started_at + policy.soak > now:
        return Waiting(
            why=f"the version must soak for {write_duration(policy.soak)} in {active.environment.label}",
            until=active.started_at + policy.soak,
        )
    return None
