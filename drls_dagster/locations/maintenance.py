"""Maintenance of an environment's tables as one asset of its location: a job, a schedule, and a check for each table.

It is no pipeline. Its step names none, so the gate admits nothing for it, no launch of a pipeline includes it, and in a
run that has steps of pipelines it does nothing: such a run acts with a token of its own, and must get no further.
"""

# No `from __future__ import annotations`: Dagster reads the annotation of the configuration.

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from drls_dagster.gate.parts import all_parts_of, upkeep_part
from drls_dagster.maintenance.policy import policy_of
from drls_dagster.maintenance.rounds import Keeper, Visit, act, report
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.opening import way_of
from drls_dagster.settings import Settings
from drls_dagster.tags import MAINTENANCE, MAINTENANCE_STEP, MAINTENANCE_TAG
from lifecycle.domain.environment import Environment
from lifecycle.domain.table_health import HealthReport
from lifecycle.errors import DrlsError

MOST_CHECKS = 500
_SHOWN = 200
_DESCRIPTION = (
    "Looks at the health of this environment's tables, plans what they need, and does what their policies allow. "
    "Nothing is changed in the mode `report`."
)


class MaintenanceConfig(dg.Config):
    """Which tables to look at, by name; all of the environment when none are named."""

    tables: list[str] = Field(default=[])


def maintenance_key(environment: Environment) -> dg.AssetKey:
    """Two parts: those of tables and of pipelines' nodes have three or more."""
    return dg.AssetKey([environment.value, MAINTENANCE])


def maintenance_of(environment: Environment, settings: Settings, sinks: Sequence[str]) -> dg.Definitions:
    """The definitions; `sinks` are the tables that the location's pipelines write, each with a check of its own."""
    asset = _asset(environment, settings, _check_names(sinks[:MOST_CHECKS]))
    job = dg.define_asset_job(
        MAINTENANCE,
        selection=dg.AssetSelection.assets(asset),
        description=_DESCRIPTION,
        executor_def=dg.in_process_executor,
    )
    # Resolved with its one asset: Dagster looks through all assets of a location for each job that is not.
    resolved = dg.Definitions(assets=[asset], jobs=[job]).resolve_job_def(MAINTENANCE)
    return dg.Definitions(assets=[asset], jobs=[resolved], schedules=_schedules(environment, settings))


def _schedules(environment: Environment, settings: Settings) -> list[dg.ScheduleDefinition]:
    when = settings.maintenance
    if not when.schedule:
        return []
    schedule = dg.ScheduleDefinition(
        name=f"{environment.value}_{MAINTENANCE}",
        job_name=MAINTENANCE,
        cron_schedule=when.schedule,
        execution_timezone=when.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return [schedule]


def _asset(environment: Environment, settings: Settings, checks: Mapping[str, str]) -> dg.AssetsDefinition:
    key = maintenance_key(environment)

    @dg.multi_asset(
        name=MAINTENANCE_STEP,
        specs=[dg.AssetSpec(key, group_name=MAINTENANCE, kinds={"iceberg"}, description=_DESCRIPTION, skippable=True)],
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, description=f"The health of {sink} in {environment.label}")
            for sink, name in checks.items()
        ],
        can_subset=True,
        op_tags={MAINTENANCE_TAG: environment.value},
    )
    def maintenance(context: dg.AssetExecutionContext, config: MaintenanceConfig) -> Iterator[Any]:
        if all_parts_of(context.instance, context.run):
            context.log.warning("skipped: maintenance does not run together with pipelines; launch its job")
            return
        part = upkeep_part(environment)
        client = RunClient(way_of(settings, context.run.run_id, context.run.run_id, part), part.pipeline, environment)
        if key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key, metadata=_metadata(_go_round(client, config, context.log)))
        asked = {one.name for one in context.selected_asset_check_keys}
        for sink, name in checks.items():
            if name in asked:
                yield _check(settings, client, sink, key, name)

    return maintenance


def _go_round(client: RunClient, config: MaintenanceConfig, log: dg.DagsterLogManager) -> Sequence[Visit]:
    """Looks first, then does what the policies allow."""
    visits = client.look_at_tables(config.tables)
    for one in visits:
        report(one, log.info)
    return act(Keeper(client.begin, client.follow, client.stop), visits, log.info)


def _check(settings: Settings, client: RunClient, sink: str, key: dg.AssetKey, name: str) -> dg.AssetCheckResult:
    """The health of a sink's table as the environment has it; a table that is not there yet is healthy."""
    warn = dg.AssetCheckSeverity.WARN
    try:
        found = client.look_at_table(sink)
    except (DrlsError, OSError, ValueError) as error:
        text = f"{sink} cannot be read: {' '.join(str(error).split())}"
        return dg.AssetCheckResult(
            passed=False, asset_key=key, check_name=name, severity=dg.AssetCheckSeverity.ERROR, description=text
        )
    if found is None:
        return dg.AssetCheckResult(
            passed=True, asset_key=key, check_name=name, severity=warn, description=f"{sink} is not there yet"
        )
    below = policy_of(found.name, found.policy, settings.maintenance).below
    return dg.AssetCheckResult(
        passed=found.score >= below,
        asset_key=key,
        check_name=name,
        severity=warn,
        description=found.recommendation,
        metadata=_numbers(found),
    )


def _numbers(found: HealthReport) -> dict[str, Any]:
    """Numbers, which Dagster plots."""
    cost = found.cost
    numbers: dict[str, Any] = {
        "score": found.score,
        "data_files": found.data_file_count,
        "small_files": found.small_file_count,
        "delete_files": found.delete_file_count,
        "snapshots": found.snapshot_count,
        "manifests": found.manifest_count,
        "bytes": found.bytes,
        **({"metadata_bytes": found.metadata_bytes} if found.metadata_bytes is not None else {}),
        **({"scan_overhead_percent": cost.scan_overhead, "history_bytes": cost.history_bytes} if cost else {}),
    }
    return {
        **numbers,
        "table": found.name,
        "snapshot": str(found.snapshot),
        **({"reasons": "; ".join(one.text for one in found.reasons)} if found.reasons else {}),
    }


def _metadata(visits: Sequence[Visit]) -> dict[str, Any]:
    scores = [one.health.score for one in visits if one.health.score is not None]
    rows = [
        dg.TableRecord(
            {
                "table": one.name,
                "score": -1 if one.health.score is None else one.health.score,
                "files": one.health.data_file_count,
                "small": one.health.small_file_count,
                "snapshots": one.health.snapshot_count,
                "policy": one.policy.mode.value,
                "what": one.done,
            }
        )
        for one in visits[:_SHOWN]
    ]
    return {
        "tables": len(visits),
        "unreadable": sum(one.health.score is None for one in visits),
        "below_policy": sum(one.needs_it for one in visits),
        "maintained": sum(one.acts and not one.failed for one in visits),
        "failed": sum(one.failed for one in visits),
        "extra_files": sum(one.health.extra_files for one in visits),
        "history_bytes": sum(one.health.history_bytes for one in visits),
        **({"worst_score": min(scores), "mean_score": round(sum(scores) / len(scores), 1)} if scores else {}),
        **({"report": dg.MetadataValue.table(rows)} if rows else {}),
    }


def _check_names(sinks: Sequence[str]) -> dict[str, str]:
    """By table, a name that Dagster takes; no two are the same."""
    names: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for sink in sinks:
        name = re.sub(r"[^A-Za-z0-9_]", "__", sink)
        taken[name] += 1
        names[sink] = name if taken[name] == 1 else f"{name}__{taken[name]}"
    return names
