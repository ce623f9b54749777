"""What confines the code that a pipeline brings, and the policy that demands it (A7)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.policy import Policy


class FenceKind(StrEnum):
    """ACCOUNT: an operating-system account of its own, and Landlock. NONE: the code may do what the owner may."""

    ACCOUNT = "account"
    LANDLOCK = "landlock"
    NONE = "none"

    @property
    def holds(self) -> bool:
        return self is not FenceKind.NONE


class FenceFacts(Frozen):
    """The fence of one installation. `detail` is for people: what it consists of, or why nothing confines the code."""

    kind: FenceKind
    detail: str


# What confines pipeline code here; None where this process does not know of it. The first answer may take a moment.
FenceFinder = Callable[[], FenceFacts | None]


def unknown_fence() -> FenceFacts | None:
    """The answer of a process that knows of no fence."""
    return None


def run_problem(policy: Policy | None, environment: Environment, find: FenceFinder) -> str:
    """Why a run may not start here under this policy, or nothing."""
    if policy is None or policy.fence != "required":
        return ""
    facts = find()
    if facts is not None and facts.kind.holds:
        return ""
    why = f": {facts.detail}" if facts is not None else ""
    return f"{environment.label} requires a fence, and pipeline code on this machine has none{why}"


def publish_problem(policy: Policy | None, environment: Environment, fence: FenceKind | None) -> str:
    """Why a run whose code had this fence may not publish here, or nothing."""
    if policy is None or policy.fence != "required" or (fence is not None and fence.holds):
        return ""
    return f"{environment.label} requires a fence, and the code of this run had none; turn the fence on and run again"
