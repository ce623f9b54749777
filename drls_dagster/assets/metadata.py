"""What a materialization says of itself, under the names that Dagster's UI knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from drls_dagster.asset_keys import node_key
from drls_dagster.lakehouse.refs import summary_int
from drls_dagster.settings import Settings
from drls_dagster.steps.checks import Finding
from drls_dagster.steps.shown import without_places
from drls_dagster.steps.sink import Published
from drls_dagster.steps.sources.tally import RowsRead
from drls_dagster.tags import DRAFT, VERSION_TAG
from lifecycle.domain.environment import Environment
from lifecycle.domain.releases import Release
from lifecycle.spec import PipelineSpec, SparkTransform, column_lineage

if TYPE_CHECKING:
    from drls_dagster.steps.run import PipelineRun, Reads


def release_metadata(settings: Settings, release: Release | None) -> dict[str, Any]:
    """What an asset says of the version that it belongs to; of a draft, that it is one."""
    if release is None:
        return {VERSION_TAG: DRAFT}
    place = f"{settings.app_url.rstrip('/')}/pipelines/{release.pipeline}/versions/{release.number}"
    return {
        VERSION_TAG: f"v{release.number}",
        "drls/digest": release.digest,
        "drls/stage": release.environment.value,
        "drls/since": release.since.isoformat(),
        "drls/review": release.label.value,
        "drls/author": release.author or "unknown",
        "drls/approvers": ", ".join(release.approvers) or "nobody",
        "drls/approvals": dg.MetadataValue.url(place),
    }


def frame_metadata(
    spec: PipelineSpec,
    node_id: str,
    environment: Environment,
    catalog: str,
    schema: Any,
    upstream: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Column schema and column lineage of a transform; `upstream` has the column names of each upstream node."""
    columns = [dg.TableColumn(field.name, field.dataType.simpleString()) for field in schema.fields]
    found: dict[str, Any] = {"dagster/column_schema": dg.TableSchema(columns=columns)}
    node = spec.node(node_id)
    if isinstance(node, SparkTransform) and node.sql is not None:
        lineage = column_lineage(node.sql, upstream)
        deps = {
            column: [
                dg.TableColumnDep(asset_key=node_key(spec, source, environment, catalog), column_name=name)
                for source, name in sources
            ]
            for column, sources in lineage.items()
        }
        if deps:
            found["dagster/column_lineage"] = dg.TableColumnLineage(deps_by_column=deps)
        found["sql"] = dg.MetadataValue.md(f"```sql\n{node.sql.strip()}\n```")
    return found


def table_metadata(
    spec: PipelineSpec,
    sink_id: str,
    run: PipelineRun,
    catalog: str,
    done: Published,
    frame_columns: Sequence[str],
) -> dict[str, Any]:
    """What a sink published: rows, size, schema, lineage, snapshot, place."""
    table, snapshot = done.table, done.snapshot
    (upstream,) = spec.upstream(sink_id)
    upstream_key = node_key(spec, upstream, run.environment, catalog)
    known = {name.lower(): name for name in frame_columns}
    fields = table.schema().fields
    lineage = {
        field.name: [dg.TableColumnDep(asset_key=upstream_key, column_name=known[field.name.lower()])]
        for field in fields
        if field.name.lower() in known
    }
    return {
        "dagster/row_count": summary_int(snapshot, "total-records"),
        "dagster/size_bytes": summary_int(snapshot, "total-files-size"),
        "dagster/column_schema": dg.TableSchema(
            columns=[dg.TableColumn(field.name, str(field.field_type)) for field in fields]
        ),
        "dagster/column_lineage": dg.TableColumnLineage(deps_by_column=lineage),
        "dagster/table_name": f"{catalog}.{done.location.name}",
        "dagster/uri": without_places(table.location(), run.settings),
        "snapshot_id": dg.MetadataValue.text(str(snapshot.snapshot_id)),  # beyond what JavaScript's numbers hold
        "ref": done.location.ref,
        "rows_added": summary_int(snapshot, "added-records"),
        "rows_removed": summary_int(snapshot, "deleted-records"),
        "inputs": inputs_metadata(done.reads, done.rows_read),
        "already_published": done.repeated,
    }


def inputs_metadata(reads: Reads, rows: Mapping[str, RowsRead] | None = None) -> dg.JsonMetadataValue:
    """What each source was pinned to, from where an incremental one was read, and the rows that were read."""
    found: dict[str, dict[str, Any]] = {}
    for name, read in reads.items():
        found[name] = {"read": str(read.pin)}
        if read.start is not None:
            found[name]["after"] = str(read.start)
        if rows is not None and name in rows:
            one = rows[name]
            found[name]["rows"] = one.rows if one.rows is not None else f"not counted: {one.why}"
            if one.dead_letters is not None:
                found[name]["dead_letters"] = one.dead_letters
    return dg.MetadataValue.json(found)


def check_result(result: Finding, key: dg.AssetKey) -> dg.AssetCheckResult:
    """A check's result as Dagster shows it: a failed warning is a warning."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=result.name,
        passed=result.passed,
        severity=dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN,
        description=result.message,
        metadata={"observed": result.observed if result.observed is not None else "none", "kind": result.kind},
    )
