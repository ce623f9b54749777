"""What a launch asks of Dagster: whole pipelines, some of their steps, partitions, or assets of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.tools import run_queries as ask
from agent.tools.call import Dagster
from agent.tools.errors import ToolError
from agent.tools.selection import Asset, Graph, Keys, select, select_nodes
from lifecycle.domain.environment import Environment

MOST_ASSETS = 50
# Dagster's own tags; a test compares them with Dagster.
PARTITION_TAG = "dagster/partition"
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


class OfPipeline(Protocol):
    """What `run` was given."""

    pipeline: str
    environment: Environment
    nodes: str | None
    partition: str | None
    parameters: dict[str, Any]


class OfAssets(Protocol):
    """What `materialize` was given."""

    selection: str
    environment: Environment
    partition: str | None


@dataclass(frozen=True)
class Launch:
    """A mutation with its parameters; `what` and `steps` say in words what it starts."""

    environment: Environment
    document: str
    params: dict[str, Any]
    what: str
    steps: tuple[str, ...]

    @property
    def is_backfill(self) -> bool:
        return self.document is ask.BACKFILL


def plan_pipeline(dagster: Dagster, given: OfPipeline) -> Launch:
    """Raises ToolError for a pipeline, step, partition or parameter that is not there."""
    name, environment = given.pipeline, given.environment
    graph = ask.seen_pipelines([name], dagster, environment)
    own = frozenset(key for key, one in graph.assets.items() if one.runs and one.pipeline == name)
    if not own:
        raise ask.not_there(name, environment)
    chosen = select_nodes(given.nodes, graph) if given.nodes else own
    config = {"resources": {f"{name}_parameters": {"config": given.parameters}}} if given.parameters else {}
    keys = [] if chosen == own else sorted(chosen)
    what = f"Run {name} in {environment.label}"
    return _launch(dagster, graph, chosen, keys, name, environment, given.partition, config, what)


def plan_assets(dagster: Dagster, pipelines: Sequence[str], given: OfAssets) -> Launch:
    """Raises ToolError for a selection that names nothing, too much, or a partition that is not there."""
    graph = ask.seen_pipelines(pipelines, dagster, given.environment)
    chosen = frozenset(key for key in select(given.selection, graph) if graph.assets[key].runs)
    if not chosen:
        raise ToolError(
            f"{given.selection!r} names nothing in {given.environment.label} that can be computed",
            hint="search finds assets; get_pipeline shows what is active where",
        )
    if len(chosen) > MOST_ASSETS:
        raise ToolError(f"{given.selection!r} names {len(chosen)} assets, more than {MOST_ASSETS}", hint="select fewer")
    names = sorted({graph.assets[key].pipeline for key in chosen})
    job = names[0] if len(names) == 1 else ask.ASSET_JOB
    what = f"Compute {len(chosen)} asset(s) of {', '.join(names[:5])} in {given.environment.label}"
    return _launch(dagster, graph, chosen, sorted(chosen), job, given.environment, given.partition, {}, what)


def _launch(
    dagster: Dagster,
    graph: Graph,
    chosen: Keys,
    keys: list[tuple[str, ...]],
    job: str,
    environment: Environment,
    partition: str | None,
    config: dict[str, Any],
    what: str,
) -> Launch:
    assets = [graph.assets[key] for key in sorted(chosen)]
    steps = tuple(f"{one.pipeline}: {one.node}" if job == ask.ASSET_JOB else one.node for one in assets)
    spans = _partitions(dagster, assets, environment, partition)
    if partition is not None:
        what += f", partition {partition}"
    if len(spans) > 2 or (len(spans) == 2 and not all(one.one_run for one in assets)):
        params: dict[str, Any] = {
            "assetSelection": [{"path": list(key)} for key in sorted(chosen)],
            "partitionNames": spans,
            "title": what[:150],
            **({"runConfigData": config} if config else {}),
        }
        return Launch(environment, ask.BACKFILL, params, f"{what} ({len(spans)} runs)", steps)
    tags: list[dict[str, str]] = []
    if len(spans) == 1:
        tags = [{"key": PARTITION_TAG, "value": spans[0]}]
    elif spans:
        tags = [{"key": name, "value": end} for name, end in zip(RANGE_TAGS, spans, strict=True)]
    selector: dict[str, Any] = {
        "repositoryLocationName": environment.value,
        "repositoryName": ask.REPOSITORY,
        "jobName": job,
        **({"assetSelection": [{"path": list(key)} for key in keys]} if keys else {}),
    }
    params = {
        "selector": selector,
        "mode": "default",
        "runConfigData": config,
        "executionMetadata": {"tags": tags},
    }
    return Launch(environment, ask.LAUNCH, params, what, steps)


def _partitions(dagster: Dagster, assets: Sequence[Asset], environment: Environment, wanted: str | None) -> list[str]:
    """The key; the first and the last of a range that is one run; every key where each is a run of its own."""
    partitioned = sorted({one.pipeline for one in assets if one.partitioned})
    if not partitioned:
        if wanted is not None:
            raise ToolError("none of these pipelines is partitioned", hint="leave partition out")
        return []
    known = [ask.partition_keys(dagster, name, environment) for name in partitioned]
    keys = known[0]
    if any(other != keys for other in known[1:]):
        raise ToolError(f"{', '.join(partitioned)} have different partitions", hint="start them one by one")
    if not keys:
        raise ToolError(f"{partitioned[0]} has no complete partition yet", hint="try again when its first one is over")
    span = f"{keys[0]}...{keys[-1]}"
    if wanted is None:
        raise ToolError(f"{partitioned[0]} is partitioned", hint=f"choose a partition, a range or all ({span})")
    first, dots, last = (keys[0], "...", keys[-1]) if wanted == "all" else wanted.partition("...")
    for end in (first, last if dots else first):
        if end not in keys:
            raise ToolError(f"{partitioned[0]} has no partition {end[:80]!r}", hint=f"it has {span}")
    if not dots or first == last:
        return [first]
    low, high = keys.index(first), keys.index(last)
    if low > high:
        raise ToolError(f"{first} is after {last}", hint="name the earlier one first")
    return [first, last] if all(one.one_run for one in assets) else keys[low : high + 1]
