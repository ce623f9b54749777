"""What a request to Dagster is about: the pipelines that its arguments lead to, as Dagster itself finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagster import AssetKey

from drls_dagster.dagster_private.workspace import (
    PARTITION_SET_SNAP_NAME_SUFFIX,
    PartitionBackfill,
    is_implicit_asset_job_name,
)
from drls_dagster.gate.parts import parts_of
from drls_dagster.tags import MAINTENANCE
from lifecycle.domain.environment import Environment
from lifecycle.domain.roles import Role

if TYPE_CHECKING:
    from drls_dagster.dagster_private.workspace import BaseWorkspaceRequestContext, RemoteSchedule, RemoteSensor

Arguments = Mapping[str, Any]
# Starts pipelines that have new data; every other sensor keeps the installation itself in order.
_SOURCES = "_sources"
_ENVIRONMENTS = {one.value for one in Environment}


@dataclass(frozen=True)
class Touched:
    """(environment, pipeline) pairs, and whether it is about more than can be named.

    `anywhere`: whoever has the role on anything may. `least`: a higher role than usual is needed.
    """

    pipelines: frozenset[tuple[str, str]] = frozenset()
    everything: bool = False
    anywhere: bool = False
    least: Role | None = None

    def __or__(self, other: Touched) -> Touched:
        least = max((one for one in (self.least, other.least) if one), key=lambda role: role.rank, default=None)
        return Touched(
            self.pipelines | other.pipelines,
            self.everything or other.everything,
            self.anywhere or other.anywhere,
            least,
        )

    @property
    def names(self) -> list[str]:
        return sorted({name for _, name in self.pipelines})

    @property
    def environments(self) -> list[str]:
        return sorted({environment for environment, _ in self.pipelines})


EVERYTHING = Touched(everything=True)
ANYWHERE = Touched(anywhere=True)


def every(found: Iterable[Touched]) -> Touched:
    """All of them together; of nothing, everything: what names nothing is not harmless."""
    whole: Touched | None = None
    for one in found:
        whole = one if whole is None else whole | one
    return EVERYTHING if whole is None else whole


class Finder:
    """Looks things up in Dagster's workspace and instance. What is not found is everything."""

    def __init__(self, context: BaseWorkspaceRequestContext) -> None:
        self._context = context
        self._instance = context.instance

    def run(self, run_id: str | None) -> Touched:
        run = self._instance.get_run_by_id(run_id) if run_id else None
        if run is None:
            return EVERYTHING
        return every(_pipeline(part.environment.value, part.pipeline) for part in parts_of(self._instance, run))

    def runs(self, run_ids: Iterable[str]) -> Touched:
        return every(self.run(run_id) for run_id in run_ids)

    def again(self, run_id: str | None) -> Touched:
        """A run that is executed again: what it was made of, and what its job and its assets are by now."""
        run = self._instance.get_run_by_id(run_id) if run_id else None
        if run is None:
            return EVERYTHING
        selected = [*(run.asset_selection or ()), *(one.asset_key for one in run.asset_check_selection or ())]
        origin = run.remote_job_origin
        location = origin.location_name if origin else ""
        return self.run(run_id) | self._job(location, {run.job_name}, selected)

    def job(self, selector: Arguments) -> Touched:
        """A JobOrPipelineSelector: a pipeline's job, or assets of several."""
        names = {name for key in ("pipelineName", "jobName") if (name := selector.get(key))}
        checks = [one["assetKey"] for one in selector.get("assetCheckSelection") or ()]
        keys = [_key(one) for one in (*(selector.get("assetSelection") or ()), *checks)]
        return self._job(str(selector.get("repositoryLocationName")), names, keys)

    def _job(self, location: str, names: Iterable[str], keys: list[AssetKey]) -> Touched:
        named = [_pipeline(location, name) for name in names if not is_implicit_asset_job_name(name)]
        return every([*named, *([self.assets(keys)] if keys else [])])

    def assets(self, keys: Iterable[AssetKey]) -> Touched:
        return every(self._asset(key) for key in keys)

    def _asset(self, key: AssetKey) -> Touched:
        graph = self._context.asset_graph
        if not graph.has(key):
            return EVERYTHING
        # Every asset of a pipeline is in the group of its name.
        group = graph.get(key).group_name
        return _pipeline(graph.get_repository_handle(key).location_name, group)

    def group(self, selector: Arguments) -> Touched:
        """Every asset of a pipeline is in the group of its name."""
        return _pipeline(str(selector["repositoryLocationName"]), str(selector["groupName"]))

    def backfill(self, backfill_id: str | None) -> Touched:
        found = self._instance.get_backfill(backfill_id) if backfill_id else None
        return EVERYTHING if found is None else self.of_backfill(found)

    def of_backfill(self, found: PartitionBackfill) -> Touched:
        if found.job_name and found.partition_set_origin:
            return _pipeline(found.partition_set_origin.selector.location_name, found.job_name)
        return self.assets(found.asset_selection or ())

    def partition_set(self, selector: Arguments) -> Touched:
        job, suffix, rest = str(selector["partitionSetName"]).rpartition(PARTITION_SET_SNAP_NAME_SUFFIX)
        if not suffix or rest:
            return EVERYTHING
        return _pipeline(str(selector["repositorySelector"]["repositoryLocationName"]), job)

    def schedule(self, selector: Arguments) -> Touched:
        return self._schedules(
            one
            for one in self._all_schedules()
            if (one.handle.location_name, one.name)
            == (selector.get("repositoryLocationName"), selector.get("scheduleName"))
        )

    def schedule_by_id(self, ids: Iterable[str]) -> Touched:
        """By the ids of its origin and its selector, which a caller may mix: each of them counts."""
        return every(self._schedules(one for one in self._all_schedules() if wanted in _ids_of(one)) for wanted in ids)

    def _schedules(self, found: Iterable[RemoteSchedule]) -> Touched:
        return every(_pipeline(one.handle.location_name, one.job_name) for one in found)

    def sensor(self, selector: Arguments) -> Touched:
        name = str(selector.get("sensorName"))
        return _sensor(name) if any(one.name == name for one in self._all_sensors()) else _sensor("")

    def sensor_by_id(self, ids: Iterable[str]) -> Touched:
        names = [next((one.name for one in self._all_sensors() if wanted in _ids_of(one)), "") for wanted in ids]
        return every(_sensor(name) for name in names or [""])

    def reload(self, location: str | None) -> Touched:
        """In development people look at their own files again; elsewhere a reload is for all."""
        return ANYWHERE if location == Environment.DEVELOPMENT.value else EVERYTHING

    def _all_schedules(self) -> list[RemoteSchedule]:
        return [
            one
            for location in self._context.code_locations
            for repository in location.get_repositories().values()
            for one in repository.get_schedules()
        ]

    def _all_sensors(self) -> list[RemoteSensor]:
        return [
            one
            for location in self._context.code_locations
            for repository in location.get_repositories().values()
            for one in repository.get_sensors()
        ]


def ids_in(arguments: Arguments) -> list[str]:
    """Every id by which a sensor or a schedule is named: an id can be two in one, and there are old names."""
    given = [str(value) for key, value in arguments.items() if value and key.lower().endswith("id")]
    return [part for one in given for part in (one.split(":") if ":" in one else [one])]


def _ids_of(one: RemoteSensor | RemoteSchedule) -> set[str]:
    return {one.get_remote_origin_id(), one.selector_id}


def _pipeline(location: str, name: str | None) -> Touched:
    if location not in _ENVIRONMENTS or not name:
        return EVERYTHING
    if name == MAINTENANCE:
        # It looks at tables of all pipelines, and of none.
        return Touched(everything=True, least=Role.LEAD)
    return Touched(frozenset({(location, name)}))


def _sensor(name: str) -> Touched:
    return EVERYTHING if name.endswith(_SOURCES) else Touched(everything=True, least=Role.ADMIN)


def _key(given: Arguments) -> AssetKey:
    return AssetKey([str(part) for part in given["path"]])
