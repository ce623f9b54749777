"""What is deployed, and whose schedules run: in production only, unless a policy says otherwise (L4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy, PolicyRevision
from lifecycle.store.unit import View


def schedules_run(view: View, environment: Environment, pipeline: str) -> bool:
    """Whether schedules, and `automation: on_new_data`, start runs of a pipeline in an environment."""
    found = view.policies.in_force(environment, view.pipelines.named(pipeline).id)
    return _policy(found).schedules_run(environment)


def policies_of(view: View, environment: Environment) -> Callable[[int], PolicyRevision | None]:
    """By pipeline id: the revision in force, with one query for all of them."""
    newest: Mapping[int | None, PolicyRevision] = {
        one.pipeline_id: one for one in view.policies.newest() if one.environment is environment and one.body
    }
    return lambda pipeline_id: newest.get(pipeline_id) or newest.get(None)


def _policy(revision: PolicyRevision | None) -> Policy:
    return Policy() if revision is None or revision.body is None else revision.body


def runs_by_itself(revision: PolicyRevision | None, environment: Environment) -> bool:
    """The same for a revision that is known already."""
    return _policy(revision).schedules_run(environment)


def deployed_digests(view: View, environment: Environment) -> dict[str, str]:
    """By pipeline: the digest that is deployed."""
    names = {one.id: one.name for one in view.pipelines.list(limit=1_000_000)}
    return {
        names[one.pipeline_id]: one.deployed_digest
        for one in view.deployments.of(environment)
        if one.pipeline_id in names
    }


def starting_schedules(view: View, environment: Environment, scheduled: Collection[str]) -> frozenset[str]:
    """Which of these pipelines' schedules run automatically, as the policies say now (L4)."""
    if not scheduled:
        return frozenset()
    policy_of = policies_of(view, environment)
    ids = {one.name: one.id for one in view.pipelines.list(limit=1_000_000)}
    return frozenset(name for name in scheduled if name in ids and runs_by_itself(policy_of(ids[name]), environment))
