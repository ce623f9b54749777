"""About: a pipeline in short: what it is, where it is active, what runs and waits, and what is in its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import State
from lifecycle.domain.version import Label, Pipeline
from lifecycle.errors import NotFound
from lifecycle.spec import AnyNode, PipelineSpec
from lifecycle.store.repositories.overview import Live, RunSummary
from lifecycle.store.unit import View
from lifecycle.usecases.parts.specs import next_run, spec_of
from lifecycle.usecases.parts.visible import visible_pipeline, visible_troubles

_RUNS = 5


class LiveVersion(Frozen):
    """A version that is active somewhere."""

    environment: Environment
    version: int
    since: datetime
    unreviewed: bool
    request: int | None


class LastRun(Frozen):
    """A run: it published `published` of `tables` tables. `state` is how it ended, or that it runs."""

    run_id: str
    environment: Environment
    version: int
    state: str
    at: datetime
    published: int
    tables: int


class OpenRequest(Frozen):
    """A request that is not over."""

    id: int
    target: Environment
    version: int
    state: State
    expires_at: datetime


class Step(Frozen):
    """A node in a few words, and the nodes that it reads."""

    node: str
    what: str
    reads: tuple[str, ...] = ()


class About(Frozen):
    """`version` is the one that `steps` describe; `newest` the newest. `starts` says when runs begin.

    `blocks` are the reasons why the pipeline cannot continue, a line each.
    """

    name: str
    version: int
    newest: int
    digest: str
    description: str
    owners: tuple[str, ...]
    tags: dict[str, str]
    message: str
    author: str
    saved_at: datetime
    starts: str
    next_run: datetime | None
    partitions: str
    steps: tuple[Step, ...]
    active: tuple[LiveVersion, ...]
    runs: tuple[LastRun, ...]
    requests: tuple[OpenRequest, ...]
    blocks: tuple[str, ...]


def about_pipeline(view: View, actor: Actor, name: str, number: int | None = None) -> About:
    """Raises NotFound, or Forbidden for who may not look at it."""
    pipeline = visible_pipeline(view, actor, name)
    newest = view.pipelines.newest(pipeline.id)
    if newest is None:
        raise NotFound(f"{name} has no version")
    version = newest if number is None else view.pipelines.numbered(pipeline, number)
    spec = spec_of(version)
    live = view.overview.live([pipeline.id]).get(pipeline.id, {})
    runs = view.overview.runs(pipeline.id, limit=_RUNS)
    return About(
        name=name,
        version=version.number,
        newest=newest.number,
        digest=version.digest,
        description=spec.description,
        owners=spec.owners,
        tags=dict(spec.tags),
        message=version.message,
        author=view.people.get(version.author).name if version.author is not None else "",
        saved_at=version.created_at,
        starts=_starts(spec),
        next_run=next_run(spec, view.now),
        partitions=getattr(spec.partitions, "kind", ""),
        steps=tuple(_step(spec, spec.node(one)) for one in spec.topological()),
        active=tuple(_live(live[where]) for where in Environment if where in live),
        runs=tuple(_run(one) for one in runs),
        requests=tuple(
            OpenRequest(id=one.id, target=one.target, version=one.number, state=one.state, expires_at=one.expires_at)
            for one in view.overview.asked([pipeline.id])
        ),
        blocks=tuple(dict.fromkeys(_blocks(view, actor, pipeline, live, runs))),
    )


def _starts(spec: PipelineSpec) -> str:
    if spec.schedule is not None:
        return f"cron {spec.schedule.cron} in {spec.schedule.timezone}"
    return "on new data" if spec.automation else "when somebody starts it"


def _step(spec: PipelineSpec, node: AnyNode) -> Step:
    match node.type:
        case "source":
            what = f"{node.source.label} source {node.source.subject}"
        case "transform":
            what = f"{node.label} {node.subject}"
        case "sink":
            what = f"writes {node.table}, {node.mode}"
        case "monitor":
            what = "checks " + ", ".join(f"{one.name} ({one.severity})" for one in node.checks)
    return Step(node=node.id, what=what.strip(), reads=spec.upstream(node.id))


def _live(one: Live) -> LiveVersion:
    return LiveVersion(
        environment=one.environment,
        version=one.number,
        since=one.since,
        unreviewed=one.label is Label.UNREVIEWED,
        request=one.promotion_id,
    )


def _run(one: RunSummary) -> LastRun:
    return LastRun(
        run_id=one.run_id,
        environment=one.environment,
        version=one.number,
        state=one.outcome.value if one.outcome is not None else one.state.value,
        at=one.admitted_at,
        published=one.published,
        tables=one.tables,
    )


def _blocks(
    view: View,
    actor: Actor,
    pipeline: Pipeline,
    live: Mapping[Environment, Live],
    runs: tuple[RunSummary, ...],
) -> Iterator[str]:
    for hold in view.policies.holds():
        if hold.pipeline_id in (None, pipeline.id):
            yield f"{hold.kind.value} of {hold.environment.label}: {hold.reason}"
    for drift in view.runs.open_drifts(pipeline.id):
        yield f"unexplained write (drift {drift.id}) to {drift.table_name} in {drift.environment.label}"
    for where in Environment:
        if where.governed and view.policies.in_force(where, pipeline.id) is None:
            yield f"{where.label} has no policy, so nothing can be promoted to it"
        if where in live and live[where].label is Label.UNREVIEWED:
            yield f"v{live[where].number} in {where.label} is unreviewed"
    latest: dict[Environment, RunSummary] = {}
    for run in runs:
        latest.setdefault(run.environment, run)
    for where, run in latest.items():
        if not run.state.is_live and run.published < run.tables:
            how = run.outcome.value if run.outcome is not None else run.state.value
            yield f"run {run.run_id} in {where.label} published {run.published} of {run.tables} tables ({how})"
    for trouble in visible_troubles(view, actor):
        if trouble.pipeline == pipeline.name:
            yield str(trouble)
