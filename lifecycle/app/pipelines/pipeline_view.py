"""All that the page of a pipeline shows of one version, read in a few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from lifecycle.app.kit import links
from lifecycle.app.kit.cells import Cell, RunMark, cells_of, run_mark
from lifecycle.app.kit.guard import Visitor
from lifecycle.app.kit.spec.graph_view import MAX_DRAWN, GraphView, graph_view
from lifecycle.app.kit.spec.highlight import highlight
from lifecycle.app.kit.spec.node_view import NodeView, node_view
from lifecycle.app.pipelines.cron_words import cron_words
from lifecycle.domain.environment import Environment, Stage, stage_of
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Deployment, Label, Pipeline, Version
from lifecycle.spec import PipelineSpec, dump_yaml
from lifecycle.store.repositories.overview import Head
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import target_of
from lifecycle.usecases.parts.specs import next_run, spec_of

SHOWN = 20
RUNS = 10
MAX_DEFINITION = 60_000


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """A version in the history. `compare` leads to what changed since the one before."""

    number: int
    url: str
    digest: str
    author: str
    at: datetime
    message: str
    origin: str
    active: tuple[Environment, ...]
    unreviewed: bool
    compare: str | None
    shown: bool


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request about this pipeline."""

    url: str
    promotion: Promotion
    by: str
    unreviewed: bool


@dataclass(frozen=True, slots=True)
class Starts:
    """When runs start automatically: in words, and the next time in each environment where that happens."""

    words: str
    upcoming: tuple[tuple[Environment, datetime], ...]


@dataclass(frozen=True, slots=True)
class ActionLink:
    """A way on. What it leads to says whether it is possible now."""

    word: str
    url: str
    danger: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What moves: where the pipeline is active, its requests and its runs."""

    name: str
    cells: tuple[Cell, ...]
    requests: tuple[RequestRow, ...]
    runs: tuple[RunMark, ...]


@dataclass(frozen=True, slots=True)
class PipelineView:
    """A version on its page. `definition` is empty where it is too long to show: it can be loaded as a file."""

    name: str
    version: Version
    newest: int
    newest_digest: str
    spec: PipelineSpec
    stage: Stage
    author: str
    origin: str
    parent: int | None
    contributors: tuple[str, ...]
    active: tuple[tuple[Environment, bool], ...]
    starts: Starts
    graph: GraphView
    nodes: tuple[NodeView, ...]
    definition: tuple[Markup, ...]
    timeline: tuple[TimelineItem, ...]
    older: str | None
    promote: ActionLink | None
    actions: tuple[ActionLink, ...]
    may_write: bool
    may_delete: bool
    state: State


def pipeline_view(
    view: View,
    who: Visitor,
    pipeline: Pipeline,
    version: Version,
    *,
    below: int | None = None,
    around: str = "",
    dagster: str | None = None,
) -> PipelineView:
    """The page of `version`; `below` pages the history on, `around` is a node to draw of a large graph."""
    newest = view.pipelines.newest(pipeline.id)
    assert newest is not None  # noqa: S101 (a pipeline begins with a version)
    spec = spec_of(version)
    names = {person.id: person.name for person in view.people.all()}
    history = view.deployments.history(pipeline.id)
    own = [one for one in history if one.version_id == version.id]
    active = tuple((one.environment, one.label is Label.UNREVIEWED) for one in own if one.ended_at is None)
    role = view.people.standing(who.person, target_of(view, pipeline)).role or Role.VIEWER
    graph = graph_view(spec, around=around)
    drawn = {node.id for node in graph.nodes}
    nodes = [
        node
        for node in (spec.node(name) for name in spec.topological())
        if len(graph.listed) <= MAX_DRAWN or node.id in drawn
    ]
    text = dump_yaml(spec)
    timeline = _timeline(view, pipeline, version, history, names, below)
    where = [environment for environment, _ in active]
    return PipelineView(
        name=pipeline.name,
        version=version,
        newest=newest.number,
        newest_digest=newest.digest,
        spec=spec,
        stage=stage_of(frozenset(where), retired=_is_retired(own)),
        author=names.get(version.author or 0, ""),
        origin=origin_words(version),
        parent=view.pipelines.version(version.parent_id).number if version.parent_id is not None else None,
        contributors=_contributors(view, version, names),
        active=active,
        starts=_starts(view, pipeline, spec, where),
        graph=graph,
        nodes=tuple(node_view(node, spec) for node in nodes),
        definition=highlight(text, "yaml") if len(text) <= MAX_DEFINITION else (),
        timeline=timeline,
        older=_older(pipeline, version, timeline),
        promote=_promote(pipeline.name, version.number, where) if role.includes(Role.DATA_ENGINEER) else None,
        actions=tuple(_actions(pipeline.name, version.number, where, history, role)),
        may_write=role.includes(Role.DATA_ENGINEER),
        may_delete=role.includes(Role.LEAD),
        state=state_of(view, pipeline, dagster),
    )


def state_of(view: View, pipeline: Pipeline, dagster: str | None) -> State:
    """What moves, refreshed automatically."""
    newest = view.pipelines.newest(pipeline.id)
    assert newest is not None  # noqa: S101 (a pipeline begins with a version)
    head = Head(pipeline.id, pipeline.name, newest.number, newest.digest)
    names = {person.id: person.name for person in view.people.all()}
    requests = view.promotions.list(pipeline_id=pipeline.id, limit=RUNS)
    unreviewed = view.lists.without_review([one.id for one in requests])
    return State(
        name=pipeline.name,
        cells=cells_of(view, (head,), view.policies.holds(), dagster)[0],
        requests=tuple(
            RequestRow(links.request(one.id), one, names.get(one.requested_by or 0, ""), one.id in unreviewed)
            for one in requests
        ),
        runs=tuple(run_mark(run, dagster) for run in view.overview.runs(pipeline.id, limit=RUNS)),
    )


def origin_words(version: Version) -> str:
    """Where a version came from; empty where it was written here."""
    kind, origin = version.origin.get("kind"), version.origin
    if kind == "imported":
        signed = str(origin.get("signed_by", ""))[:12]
        return f"imported from {origin.get('pipeline')} v{origin.get('version')}, signed by {signed}"
    if kind == "cloned":
        return f"cloned from {origin.get('pipeline')} v{origin.get('version')}"
    return ""


def _is_retired(own: Sequence[Deployment]) -> bool:
    last = [one for one in own if one.environment is Environment.PRODUCTION][-1:]
    return any((one.ended_reason or "").startswith("retired") for one in last)


def _contributors(view: View, version: Version, names: Mapping[int, str]) -> tuple[str, ...]:
    found = view.pipelines.contributions([version.id])
    people = [person for one in found for person in (one.person, one.acted_for) if person is not None]
    return tuple(dict.fromkeys(names[person] for person in people))


def _timeline(
    view: View,
    pipeline: Pipeline,
    shown: Version,
    history: Sequence[Deployment],
    names: Mapping[int, str],
    below: int | None,
) -> tuple[TimelineItem, ...]:
    by_version: dict[int, list[Deployment]] = {}
    for one in history:
        if one.ended_at is None:
            by_version.setdefault(one.version_id, []).append(one)
    labelled = {one.version_id for one in history if one.label is Label.UNREVIEWED}
    return tuple(
        TimelineItem(
            number=one.number,
            url=links.version(pipeline.name, one.number),
            digest=one.digest,
            author=names.get(one.author or 0, ""),
            at=one.created_at,
            message=one.message,
            origin=origin_words(one),
            active=tuple(deployment.environment for deployment in by_version.get(one.id, ())),
            unreviewed=one.id in labelled,
            compare=links.compare(pipeline.name, one.number - 1, one.number) if one.number > 1 else None,
            shown=one.id == shown.id,
        )
        for one in view.pipelines.versions(pipeline.id, below, SHOWN)
    )


def _older(pipeline: Pipeline, version: Version, timeline: Sequence[TimelineItem]) -> str | None:
    if not timeline or timeline[-1].number == 1:
        return None
    return f"{links.version(pipeline.name, version.number)}?below={timeline[-1].number}#history"


def _starts(view: View, pipeline: Pipeline, spec: PipelineSpec, active: Sequence[Environment]) -> Starts:
    if spec.automation is not None:
        return Starts("when its sources have new data", ())
    following = next_run(spec, view.now)
    if spec.schedule is None or following is None:
        return Starts("only when started by a person or program", ())
    words = f"{cron_words(spec.schedule.cron)} ({spec.schedule.timezone})"
    return Starts(words, tuple((one, following) for one in active if _schedules_run(view, one, pipeline)))


def _schedules_run(view: View, environment: Environment, pipeline: Pipeline) -> bool:
    revision = view.policies.in_force(environment, pipeline.id)
    policy = revision.body if revision is not None and revision.body is not None else Policy()
    return policy.schedules_run(environment)


def _promote(name: str, number: int, active: Sequence[Environment]) -> ActionLink | None:
    """From the highest environment in which the version is active to the one after."""
    highest = max(active, key=lambda one: one.rank, default=None)
    target = highest.after if highest is not None else None
    if target is None:
        return None
    word = "QA" if target is Environment.QA else "UAT" if target is Environment.UAT else target.value
    return ActionLink(f"Promote to {word}", links.promote(name, number, target.value))


def _actions(
    name: str, number: int, active: Sequence[Environment], history: Sequence[Deployment], role: Role
) -> Sequence[ActionLink]:
    if not role.includes(Role.LEAD):
        return ()
    found: list[ActionLink] = []
    if Environment.UAT in active:
        found.append(ActionLink("Demote from UAT", links.demote(name, number), danger=True))
    if Environment.PRODUCTION in active:
        found.append(ActionLink("Retire from production", links.retire(name, number), danger=True))
    if any(one.environment is Environment.PRODUCTION and one.ended_at is None for one in history):
        found.append(ActionLink("Roll production back", links.rollback(name), danger=True))
    if Environment.PRODUCTION not in active:
        found.append(ActionLink("Break glass: release without approval", links.break_glass(name, number), danger=True))
    return found
