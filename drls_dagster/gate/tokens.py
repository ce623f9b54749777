"""The token of a run that is about to start (ADR 28): for what, for whom, and where it is good."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from drls_dagster.gate.launched_by import launcher_of
from drls_dagster.gate.parts import all_parts_of, run_key, upkeep_of
from drls_dagster.gate.traced import place_of
from drls_dagster.runs.address import URL_VARIABLE
from drls_dagster.runs.admission import lifecycle_of
from drls_dagster.runs.token import RunToken, bind, issue
from drls_dagster.settings import Settings
from lifecycle.domain.people import Actor, WayIn
from lifecycle.store.unit import View

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

    from drls_dagster.runs.part import Part


class Given(NamedTuple):
    """What the process of a run gets."""

    url: str
    token: RunToken


def token_for(instance: DagsterInstance, run: DagsterRun, settings: Settings) -> Given | None:
    """A token for a run that was let through, or that looks after tables. None where no run service runs, or for a run
    of somebody else's assets.

    Raises GateRefused for a run with the signature of another one.
    """
    url, parts = os.environ.get(URL_VARIABLE), all_parts_of(instance, run)
    upkeep = upkeep_of(instance, run) if url and not parts else None
    ctx = lifecycle_of(settings) if url and (parts or upkeep) else None
    if ctx is None or not url:
        return None
    if upkeep is not None:
        launched_by = launcher_of(settings, run, ())
        return Given(url, issue(ctx, bind(run.run_id, run.run_id, [upkeep], launched_by, place_of(run))))
    with ctx.store.read() as view:
        person = _admitted_by(view, run.run_id, parts)
    launched_by = person or launcher_of(settings, run, parts)
    return Given(url, issue(ctx, bind(run.run_id, run_key(instance, run), parts, launched_by, place_of(run))))


def _admitted_by(view: View, run_id: str, parts: tuple[Part, ...]) -> Actor | None:
    """The person whose run was admitted; None for a draft, and for a run of nobody."""
    for one in parts:
        pipeline = view.pipelines.find(one.pipeline)
        admission = view.runs.admission(run_id, pipeline.id) if pipeline else None
        if admission is not None and admission.admitted_by is not None:
            person = view.people.get(admission.admitted_by)
            behind = view.people.get(person.acts_for).name if person.acts_for else None
            return Actor(person=person.id, name=person.name, way_in=WayIn.DAGSTER, acts_for=behind)
    return None
