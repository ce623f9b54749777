"""*sources*: starts pipelines with `automation: on_new_data` when one of their sources has new data."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import dagster as dg

from drls_dagster.dagster_private.tags import RUN_KEY_TAG
from drls_dagster.lifecycle_client.gateway import gateway_actor
from drls_dagster.sensors.evidence import TRIES
from drls_dagster.sensors.heads import Heads, Locations
from drls_dagster.sensors.steady import Evaluation, Gateway, steady
from drls_dagster.steps.sources.kind import Mark, SourceKind
from drls_dagster.steps.sources.kinds import find_kind
from drls_dagster.tags import REASON_TAG
from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action
from lifecycle.ports import DataPlane
from lifecycle.spec import PipelineSpec, digest
from lifecycle.store.unit import View
from lifecycle.usecases.automation import policies_of, runs_by_itself
from lifecycle.usecases.context import Context
from lifecycle.usecases.may import may
from lifecycle.usecases.parts.rounds import Round, shown

SECONDS = 30


def sources_sensor(
    environment: Environment, specs: Sequence[PipelineSpec], gateway: Gateway, locations: Locations
) -> dg.SensorDefinition | None:
    """One sensor for all pipelines of the location that start on new data; None without such pipelines."""
    automatic = tuple(Watched.of(spec) for spec in specs if spec.automation == "on_new_data")
    watched = tuple(one for one in automatic if one.sources)
    if not watched:
        return None
    watch = _Watch(environment, watched, gateway, locations)
    return steady(
        f"{environment}_sources",
        watch.evaluate,
        seconds=SECONDS,
        description="Starts a pipeline when one of its sources has new data.",
        jobs=tuple(one.spec.name for one in watched),
    )


@dataclass(frozen=True)
class Watched:
    """A pipeline and the sources whose new data start it, by name, but for tables that it writes itself."""

    spec: PipelineSpec
    digest: str
    sources: Mapping[str, SourceKind[Any, Any]]

    @classmethod
    def of(cls, spec: PipelineSpec) -> Watched:
        own = {sink.table for sink in spec.sinks}
        found: dict[str, SourceKind[Any, Any]] = {}
        for node in spec.sources:
            kind = find_kind(node)
            name = None if kind is None else kind.watched(node.source)
            if kind is not None and name is not None and name not in own:
                found[name] = kind
        return cls(spec, digest(spec), dict(sorted(found.items())))


@dataclass(frozen=True)
class _Look:
    """One look at the sources, in one round."""

    environment: Environment
    plane: DataPlane
    known: Heads
    work: Round

    def item(self, name: str) -> AbstractContextManager[None]:
        return self.work.item(f"source:{name}", "looking for new data")

    def heads(self, tables: Iterable[str]) -> Mapping[str, int | None]:
        return self.known.of(self.plane, tables, self.work)

    def marks(self, watched: Iterable[Watched]) -> dict[str, Mark]:
        """Where all their sources are now, without those that nobody could look at."""
        names: dict[SourceKind[Any, Any], set[str]] = defaultdict(set)
        for name, kind in (item for one in watched for item in one.sources.items()):
            names[kind].add(name)
        return {name: mark for kind, some in names.items() for name, mark in kind.marks(sorted(some), self).items()}


class _Watch:
    """The cursor holds, by pipeline, the marks that it has seen, and the key of a run that is not admitted yet."""

    def __init__(
        self, environment: Environment, watched: tuple[Watched, ...], gateway: Gateway, locations: Locations
    ) -> None:
        self._environment = environment
        self._watched = watched
        self._gateway = gateway
        self._heads = Heads(environment, locations)

    def evaluate(self, context: dg.SensorEvaluationContext) -> Evaluation:
        ctx = self._gateway()
        with ctx.store.read() as view:
            active = self._automatic(view)
        work = Round(ctx, gateway_actor("sources sensor"), f"new data in {self._environment.value}")
        look = _Look(self._environment, ctx.plane, self._heads, work)
        marks = look.marks(active)
        cursor: dict[str, Mapping[str, Any]] = json.loads(context.cursor) if context.cursor else {}
        names = {one.spec.name for one in active}
        after = {name: seen for name, seen in cursor.items() if name in names}
        requests: list[dg.RunRequest] = []
        refused: list[str] = []
        for one in active:
            name = one.spec.name
            if any(source not in marks for source in one.sources):
                continue
            now = {source: marks[source] for source in one.sources}
            seen = after.get(name)
            if seen is None:
                # What was there before anybody watched is no news.
                after[name] = {"heads": now}
                continue
            with work.item(f"pipeline:{name}", "looking for new data", name):
                attempt, seen = _attempt(one, look, seen, now, _fate(context.instance, ctx, name, seen))
                if attempt is None:
                    after[name] = seen
                    continue
                # A refused run would burn its key: it is asked first, and nothing moves until it may.
                answer = may(ctx, name, one.digest, self._environment, Action.ADMIT)
                if not answer.allowed:
                    refused.append(answer.reason)
                    continue
                key = _key(name, now, attempt)
                requests.append(_request(one.spec, key, self._environment))
                after[name] = {"heads": now, "key": key, "attempt": attempt}
        failed = shown(work.close())
        for line in failed:
            context.log.error(line)
        if requests:
            return dg.SensorResult(run_requests=requests, cursor=json.dumps(after))
        told = f"new data, but: {'; '.join(refused[:3])}" if refused else "no new data"
        return dg.SensorResult(skip_reason="; ".join([told, *failed]), cursor=json.dumps(after))

    def _automatic(self, view: View) -> list[Watched]:
        policy_of = policies_of(view, self._environment)
        ids = {one.name: one.id for one in view.pipelines.list(limit=1_000_000)}
        return [
            one
            for one in self._watched
            if one.spec.name in ids and runs_by_itself(policy_of(ids[one.spec.name]), self._environment)
        ]


def _attempt(
    one: Watched, look: _Look, seen: Mapping[str, Any], now: Mapping[str, Mark], fate: Fate
) -> tuple[int | None, Mapping[str, Any]]:
    """Which try a run for `now` would be, None when there is nothing to run for; and what to remember then."""
    before = seen["heads"]
    if any(name in before and _is_news(one, look, name, before[name], mark) for name, mark in now.items()):
        return 0, seen
    if fate is Fate.LOST:
        return seen["attempt"], seen
    if fate is Fate.REFUSED and seen["attempt"] + 1 < TRIES:
        return seen["attempt"] + 1, seen
    asked = {"key": seen["key"], "attempt": seen["attempt"]} if fate is Fate.WAITING else {}
    return None, {"heads": now, **asked}


def _is_news(one: Watched, look: _Look, name: str, before: Mark, now: Mark) -> bool:
    return now not in (before, None) and one.sources[name].changed(name, before, now, look)


class Fate(Enum):
    """What became of the run that was asked for last: none was, never launched, refused, undecided, admitted."""

    NONE = auto()
    LOST = auto()
    REFUSED = auto()
    WAITING = auto()
    ADMITTED = auto()


def _fate(instance: dg.DagsterInstance, ctx: Context, name: str, seen: Mapping[str, Any]) -> Fate:
    if "key" not in seen:
        return Fate.NONE
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: seen["key"]}), limit=1)
    if not runs:
        return Fate.LOST
    with ctx.store.read() as view:
        if view.runs.admission(runs[0].run_id, view.pipelines.named(name).id) is not None:
            return Fate.ADMITTED
    return Fate.REFUSED if runs[0].is_finished else Fate.WAITING


def _key(name: str, marks: Mapping[str, Mark], attempt: int) -> str:
    mark = hashlib.sha256(json.dumps(marks, sort_keys=True).encode()).hexdigest()[:16]
    return f"{name}:{mark}" + (f":{attempt}" if attempt else "")


def _request(spec: PipelineSpec, key: str, environment: Environment) -> dg.RunRequest:
    from drls_dagster.assets.partitions import partitions_definition

    partitions = partitions_definition(spec)
    last = None if partitions is None else partitions.get_last_partition_key()
    tags = {REASON_TAG: f"new data in {environment.value}"}
    return dg.RunRequest(run_key=key, job_name=spec.name, partition_key=last, tags=tags)
