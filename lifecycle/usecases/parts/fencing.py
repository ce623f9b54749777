"""What a policy's `fence: required` refuses: a run without a fence, and what such a run would publish (A7)."""

from __future__ import annotations

from lifecycle.domain.environment import Environment
from lifecycle.domain.fence import FenceFinder, FenceKind, publish_problem, run_problem
from lifecycle.domain.policy import Policy
from lifecycle.store.unit import View


def unfenced_run(view: View, pipeline_id: int, environment: Environment, find: FenceFinder) -> str:
    """Why a run may not start here, or nothing."""
    return run_problem(_policy(view, pipeline_id, environment), environment, find)


def unfenced_publish(view: View, pipeline_id: int, environment: Environment, fence: FenceKind | None) -> str:
    """Why what a run wrote may not be published, or nothing."""
    return publish_problem(_policy(view, pipeline_id, environment), environment, fence)


def _policy(view: View, pipeline_id: int, environment: Environment) -> Policy | None:
    found = view.policies.in_force(environment, pipeline_id)
    return found.body if found else None
