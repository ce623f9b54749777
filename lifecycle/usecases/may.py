"""The gate's question: may this version run here? Read only, one statement, well under 2 ms."""

from __future__ import annotations

from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action, Answer, decide
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.specs import has_digest


def may(
    ctx: Context,
    name: str,
    digest: str,
    environment: Environment,
    action: Action,
    *,
    run_id: str | None = None,
) -> Answer:
    """Whether `action` is allowed for the version with `digest` of the pipeline `name`, and why not.

    RUN and PUBLISH ask the admission of `run_id`, not the deployment: an admitted run keeps its version.
    """
    with ctx.store.read() as view:
        return ask(view, name, digest, environment, action, run_id=run_id)


def ask(
    view: View,
    name: str,
    digest: str,
    environment: Environment,
    action: Action,
    *,
    run_id: str | None = None,
) -> Answer:
    """The same inside a transaction."""
    facts = view.gate.facts(name, digest, environment, run_id)
    intact = facts is not None and facts.spec is not None and has_digest(facts.spec, digest)
    return decide(action, environment, name, facts, intact=intact)
