"""What a carried promotion leaves in Dagster: a materialization per table, without a run (L14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drls_dagster.tags import ENVIRONMENT_TAG, PIPELINE_TAG, VERSION_TAG
from lifecycle.domain.environment import Environment
from lifecycle.ports import ReleaseFacts

if TYPE_CHECKING:
    import dagster as dg


def report_release(
    instance: dg.DagsterInstance,
    catalog: str,
    environment: Environment,
    pipeline: str,
    tables: Mapping[str, int],
    release: ReleaseFacts,
) -> None:
    """Reports each table once per snapshot and release. People read it; no rule does."""
    import dagster as dg

    from drls_dagster.asset_keys import table_key

    for table, snapshot in tables.items():
        key = table_key(environment, catalog, table)
        metadata: dict[str, Any] = {
            "snapshot_id": str(snapshot),
            "dagster/table_name": f"{catalog}.{table}",
            PIPELINE_TAG: pipeline,
            ENVIRONMENT_TAG: environment.value,
            VERSION_TAG: release.version,
            "drls/digest": release.digest,
            "drls/label": release.label.value,
            **({"drls/promotion": release.promotion} if release.promotion is not None else {}),
        }
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                key,
                description=f"{table} of {pipeline} was promoted to {environment.label}: no data was written",
                metadata=metadata,
            )
        )
