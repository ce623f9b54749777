"""What a carried promotion leaves in Dagster: a materialization per table, without a run (L14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.opening import open_existing
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    import dagster as dg


def report_release(
    settings: Settings,
    instance: dg.DagsterInstance,
    environment: Environment,
    pipeline: str,
    tables: Mapping[str, int],
) -> None:
    """Reports each table once per snapshot and release. People read it; no rule does."""
    import dagster as dg

    from drls_dagster.assets.keys import table_key

    release = _release(settings, environment, pipeline)
    for table, snapshot in tables.items():
        key = table_key(environment.value, settings.catalog.name, table)
        metadata: dict[str, Any] = {
            "snapshot_id": str(snapshot),
            "dagster/table_name": f"{settings.catalog.name}.{table}",
            "drls/pipeline": pipeline,
            "drls/environment": environment.value,
            **release,
        }
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                key,
                description=f"{table} of {pipeline} was promoted to {environment.label}: no data was written",
                metadata=metadata,
            )
        )


def _release(settings: Settings, environment: Environment, pipeline: str) -> dict[str, Any]:
    """The version that is active there by now, and the request that brought it."""
    ctx = open_existing(settings, Adapters())
    try:
        with ctx.store.read() as view:
            active = view.deployments.active(view.pipelines.named(pipeline).id, environment)
            if active is None:
                return {}
            version = view.pipelines.version(active.version_id)
    finally:
        ctx.store.close()
    return {
        "drls/version": version.number,
        "drls/digest": version.digest,
        "drls/label": active.label.value,
        **({"drls/promotion": active.promotion_id} if active.promotion_id is not None else {}),
    }
