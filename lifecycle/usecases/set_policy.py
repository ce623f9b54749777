"""Set a policy: a new revision for an environment, or for one pipeline in it."""

from __future__ import annotations

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, Target
from lifecycle.domain.policy import DEFAULT_POLICIES, Policy, PolicyRevision, says_the_same
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Invalid
from lifecycle.store.unit import Unit
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require
from lifecycle.usecases.parts.following import reload

_READ_IN_QA = ("fence", "schedules", "on_promote")


def set_policy(
    ctx: Context,
    actor: Actor,
    environment: Environment,
    name: str | None,
    body: Policy | None,
    *,
    if_revision: int | None = None,
    key: str | None = None,
) -> PolicyRevision:
    """An Admin's act. `body` None takes a pipeline's own policy away, or leaves an environment without any.

    `if_revision` (0: none yet) raises Conflict when somebody set another one in between. Open requests keep
    the policy they were made under and become stale at execution. Schedules start or stop as it says.
    What says the same as the scope's newest revision changes nothing: that revision is the answer.
    """
    _refuse_unread(environment, body)
    command = {
        "environment": environment.value,
        "name": name,
        "body": body.model_dump(mode="json") if body else None,
        "if_revision": if_revision,
    }
    with ctx.store.write(actor, "set_policy", key=key, command=command) as unit:
        earlier = unit.earlier(PolicyRevision)
        if earlier is not None:
            return earlier
        require(unit, actor, Role.ADMIN, Target(), "setting a policy")
        pipeline_id = unit.pipelines.named(name).id if name else None
        before = unit.policies.revision(environment, pipeline_id)
        if if_revision is not None and if_revision != (before.id if before else 0):
            raise Conflict(
                f"the policy of {name or environment.label} has been changed in the meantime; reload it and try again"
            )
        if before is not None and says_the_same(before.body, body):
            return before
        revision = unit.policies.add(environment, pipeline_id, body, actor.person)
        unit.audit(
            "policy.set",
            f"environment:{environment.value}",
            pipeline=name,
            revision=revision.id,
            body=command["body"],
        )
        unit.remember(revision)
    reload(ctx, environment)
    return revision


def _refuse_unread(environment: Environment, body: Policy | None) -> None:
    """Raises Invalid for what no rule would ever read: it would promise what does not happen."""
    if environment is Environment.DEVELOPMENT:
        raise Invalid("development needs no approval; policies are for QA, UAT and production")
    if environment.governed or body is None:
        return
    usual = Policy()
    unread = [
        name for name in Policy.model_fields if name not in _READ_IN_QA and getattr(body, name) != getattr(usual, name)
    ]
    if unread:
        raise Invalid(
            f"{environment.label} needs no approval: its policy may set only {', '.join(_READ_IN_QA)}, not "
            f"{', '.join(unread)}"
        )


def write_default_policies(unit: Unit) -> None:
    """What the first start writes (L7); an environment that ever had a policy keeps what it has."""
    for environment, body in DEFAULT_POLICIES.items():
        if unit.policies.revision(environment, None) is None:
            revision = unit.policies.add(environment, None, body, unit.actor.person)
            unit.audit("policy.set", f"environment:{environment.value}", revision=revision.id, default=True)
