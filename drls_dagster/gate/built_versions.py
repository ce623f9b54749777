"""Which versions a code location was built of, carried with each run to the process that runs it.

Dagster hands the metadata of a code location to the run worker (reconstruction metadata, a private part of Dagster),
so a run that was queued keeps its version though another is deployed meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from drls_dagster.dagster_private.loading import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    ExecutionPlanSnapshot,
    id_of_this_run,
    plan_of_this_run,
)
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.handover import required
from drls_dagster.settings import Settings
from drls_dagster.tags import MAINTENANCE_TAG, PIPELINE_TAG
from lifecycle.domain.environment import Environment
from lifecycle.domain.releases import Release

_KEY, _TABLES = "drls/{}", "drls/{}/tables"


def pinned(environment: Environment) -> Mapping[str, str] | None:
    """Digests by pipeline that this process is to build again; None where it builds what is deployed now."""
    context = DefinitionsLoadContext.get()
    if context.load_type is not DefinitionsLoadType.RECONSTRUCTION:
        return None
    text = context.reconstruction_metadata.get(_KEY.format(environment))
    return None if text is None else json.loads(text)


def pin(environment: Environment, digests: Mapping[str, str]) -> None:
    """Says what was built. Needed at both loads: the code server builds twice."""
    context = DefinitionsLoadContext.get()
    context.add_to_pending_reconstruction_metadata(_KEY.format(environment), json.dumps(dict(sorted(digests.items()))))


def pipelines_of_this_run() -> tuple[str, ...] | None:
    """The pipelines of the run that this process was started for; None when it was started for more than a run.

    Where the run is not found, everything is built: slower, and right.
    """
    plan = plan_of_this_run()
    return None if plan is None else pipelines_of(plan)


def releases_of_this_run(settings: Settings, environment: Environment) -> list[Release] | None:
    """The versions of the run that this process was started for, from the service that its token is for.

    None where no run service runs, or where it was started for more than a run. Raises GateRefused without a token.
    """
    run_id, only = id_of_this_run(), pipelines_of_this_run()
    given = required(settings, run_id) if run_id is not None and only is not None else None
    if given is None:
        return None
    found = (RunClient(given.way, name, environment).saved_version() for name in only or ())
    return [one for one in found if one is not None]


def pipelines_of(plan: ExecutionPlanSnapshot) -> tuple[str, ...] | None:
    """The pipelines that a plan's steps belong to; None when a step belongs to none, and is not maintenance either."""
    tags = [step.tags or {} for step in plan.steps]
    names = {one.get(PIPELINE_TAG) for one in tags if MAINTENANCE_TAG not in one}
    return tuple(sorted(name for name in names if name)) if None not in names else None


def looks_after_tables() -> bool:
    """Whether the run that this process was started for has a step that is maintenance."""
    plan = plan_of_this_run()
    return plan is not None and any(MAINTENANCE_TAG in (step.tags or {}) for step in plan.steps)


def pin_tables(environment: Environment, tables: Sequence[str]) -> Sequence[str]:
    """The tables whose health a location checks: those of its first load, also in the process of a run."""
    context, key = DefinitionsLoadContext.get(), _TABLES.format(environment)
    if context.load_type is DefinitionsLoadType.RECONSTRUCTION:
        tables = json.loads(context.reconstruction_metadata.get(key, "[]"))
    context.add_to_pending_reconstruction_metadata(key, json.dumps(list(tables)))
    return tables
