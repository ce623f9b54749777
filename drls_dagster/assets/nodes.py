"""One Dagster asset per node: sources are external, transforms are views, sinks are tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import dagster as dg

from drls_dagster.asset_keys import node_key
from drls_dagster.assets.failures import as_failure
from drls_dagster.assets.limits import left_out, owners_of, tags_of
from drls_dagster.assets.metadata import check_result, frame_metadata, inputs_metadata, table_metadata
from drls_dagster.assets.partitions import backfill_policy, partitions_definition
from drls_dagster.assets.reports import report_metadata, reported_checks
from drls_dagster.assets.scope import RESOURCES, Scope, parameters_key, scope_of
from drls_dagster.lakehouse.locating import look_at
from drls_dagster.lakehouse.refs import summary_int
from drls_dagster.runs.step_spans import SpanKind
from drls_dagster.steps.above import check_node
from drls_dagster.steps.bad_rows import tell_columns
from drls_dagster.steps.checks import Finding, checks_of
from drls_dagster.steps.kinds import ui_kinds
from drls_dagster.steps.reported import ReportedFailure
from drls_dagster.steps.run import Reads
from drls_dagster.steps.sink import NotPublished, run_sink
from drls_dagster.steps.sources.kinds import kind_of
from drls_dagster.tags import ENVIRONMENT_TAG, NODE_TAG, PIPELINE_TAG, VERSION_TAG
from lifecycle.domain.environment import Environment
from lifecycle.spec import AnyTransform, PipelineSpec, SinkNode, SourceNode, digest, subtree_digest
from lifecycle.spec.pipeline import sql_texts


@dataclass(frozen=True)
class Compiling:
    """A pipeline on its way to one environment's definitions."""

    spec: PipelineSpec
    environment: Environment
    catalog: str
    search_path: tuple[str, ...]
    told: Mapping[str, Any] = field(default_factory=dict)  # of its version, for people

    def step(self, node_id: str) -> dict[str, str]:
        """What a step says of itself in the execution plan, where the gate reads it: no launch can set it."""
        own = {PIPELINE_TAG: self.spec.name, VERSION_TAG: digest(self.spec), ENVIRONMENT_TAG: str(self.environment)}
        return {**own, NODE_TAG: node_id}

    def key(self, node_id: str) -> dg.AssetKey:
        return node_key(self.spec, node_id, self.environment, self.catalog)

    def arguments(self, node_id: str) -> dict[str, Any]:
        """What every executable asset of the pipeline is made with."""
        spec = self.spec
        node = spec.node(node_id)
        key = self.key(node_id)
        retries = spec.run.retries
        policy = None
        if retries and retries.attempts:
            backoff = dg.Backoff.EXPONENTIAL if retries.backoff == "exponential" else None
            policy = dg.RetryPolicy(max_retries=retries.attempts, delay=retries.delay or None, backoff=backoff)
        resources = {*RESOURCES, *((parameters_key(spec),) if spec.parameters else ())}
        return {
            "key": key,
            "deps": [self.key(name) for name in spec.upstream(node_id)],
            "group_name": spec.name,
            "description": f"{node.type} {node_id} of pipeline {spec.name}. {spec.description}".strip(),
            "required_resource_keys": resources,
            "partitions_def": partitions_definition(spec),
            "backfill_policy": backfill_policy(spec),
            "code_version": subtree_digest(spec, node_id),
            "retry_policy": policy,
            "owners": owners_of(spec),
            "tags": tags_of(spec),
            "op_tags": self.step(node_id),
            "metadata": {
                PIPELINE_TAG: spec.name,
                NODE_TAG: node_id,
                ENVIRONMENT_TAG: str(self.environment),
                **left_out(spec),
                **self.told,
            },
            "check_specs": [
                dg.AssetCheckSpec(
                    name,
                    asset=key,
                    blocking=check.severity == "blocking",
                    description=f"{check.kind} check of pipeline {spec.name}",
                )
                for name, check in checks_of(spec, node_id)
            ]
            + [
                dg.AssetCheckSpec(name, asset=key, blocking=True, description="reported by the step's own code")
                for name in getattr(node, "checks", ())
                if node.type == "transform"
            ],
        }


def sql_of(spec: PipelineSpec, node_id: str) -> dict[str, str]:
    """The SQL that Spark may run for a node, by the node that has it: those above it and the checks on it."""
    names = (*spec.ancestors(node_id), node_id, *(monitor.id for monitor in spec.monitors_of(node_id)))
    return {name: "\n".join(texts) for name in names if (texts := sql_texts(spec.node(name)))}


def source_spec(to: Compiling, node: SourceNode) -> dg.AssetSpec:
    """The external asset of a source."""
    return dg.AssetSpec(
        to.key(node.id),
        group_name=to.spec.name,
        kinds=kind_of(node).ui_kinds(node.source),
        description=f"source {node.id} of pipeline {to.spec.name}",
        metadata={"drls/source": node.source.model_dump_json(by_alias=True, exclude_defaults=True)},
    )


def transform_asset(to: Compiling, node: AnyTransform) -> dg.AssetsDefinition:
    """A view: the step builds the frame, which Spark analyses but does not run, and runs its checks.

    A `rayProcess` step materialises its output, once per recipe that a sink below it needs.
    """

    @dg.asset(**to.arguments(node.id), kinds=ui_kinds(node))
    def view(context: dg.AssetExecutionContext) -> Iterator[Any]:
        scope = scope_of(context, to.spec, to.environment, to.search_path)
        with as_failure(node.id, scope.run.settings, sql_of(to.spec, node.id)):
            recipes = recipes_of(scope, to.spec, node.id)
            tell_columns(scope.frames, node.id, recipes[0])
            try:
                with scope.run.spans.span(SpanKind.TRANSFORM, node.id):
                    frames = [scope.frames.frame(node.id, reads) for reads in recipes]
            except ReportedFailure as failed:
                yield from reported_checks(node, failed.report, to.key(node.id))
                raise
            reads, frame = recipes[0], frames[0]
            report = scope.frames.report(node.id, reads)
            upstream = {name: scope.frames.frame(name, reads).columns for name in to.spec.upstream(node.id)}
            metadata = frame_metadata(to.spec, node.id, to.environment, to.catalog, frame.schema, upstream)
            results = worst([check_node(scope.frames, node.id, one) for one in recipes])
        yield from reported_checks(node, report, to.key(node.id))
        yield from (check_result(result, to.key(node.id)) for result in results)
        stop_at_failed(node.id, results)
        shown = {**metadata, **report_metadata(node, report), "inputs": inputs_metadata(reads)}
        yield dg.MaterializeResult(metadata=shown)

    return cast(dg.AssetsDefinition, view)


def sink_asset(to: Compiling, node: SinkNode) -> dg.AssetsDefinition:
    """A table: written to a branch, checked there, then published."""
    checks = checks_of(to.spec, node.id)

    @dg.asset(**to.arguments(node.id), kinds={"iceberg", "table"})
    def table(context: dg.AssetExecutionContext) -> Iterator[Any]:
        scope = scope_of(context, to.spec, to.environment, to.search_path)
        key = to.key(node.id)
        try:
            with as_failure(node.id, scope.run.settings, sql_of(to.spec, node.id)):
                try:
                    with scope.run.spans.span(SpanKind.SINK, node.id) as facts:
                        done = run_sink(scope.run, scope.frames, node, checks)
                        facts.table, facts.snapshot = node.table, done.snapshot.snapshot_id
                        facts.rows = summary_int(done.snapshot, "total-records")
                except NotPublished as refused:
                    yield from (check_result(result, key) for result in refused.results)
                    raise
                (upstream,) = to.spec.upstream(node.id)
                columns: Sequence[str] = scope.frames.frame(upstream, done.reads).columns
        finally:
            context.log.debug(f"run key {scope.run.run_key}")
        yield from (check_result(result, key) for result in done.results)
        yield dg.MaterializeResult(metadata=table_metadata(to.spec, node.id, scope.run, to.catalog, done, columns))

    return cast(dg.AssetsDefinition, table)


def source_checks(to: Compiling, node: SourceNode) -> dg.AssetChecksDefinition:
    """The checks on a source: a step of their own, which blocking ones make the transforms wait for."""
    arguments = to.arguments(node.id)

    @dg.multi_asset_check(
        name=f"{to.environment}__{to.spec.name}__{node.id}__checks",
        specs=arguments["check_specs"],
        op_tags=to.step(node.id),
        required_resource_keys=arguments["required_resource_keys"],
    )
    def source_check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        scope = scope_of(context, to.spec, to.environment, to.search_path)  # pyright: ignore[reportArgumentType]
        with as_failure(node.id, scope.run.settings, sql_of(to.spec, node.id)):
            results = check_node(scope.frames, node.id, scope.run.reads_of(node.id))
        yield from (check_result(result, to.key(node.id)) for result in results)
        stop_at_failed(node.id, results)

    return source_check


def stop_at_failed(node_id: str, results: Sequence[Finding]) -> None:
    """Raises dg.Failure naming the blocking checks that failed; what is below does not run then."""
    failed = [result for result in results if result.blocking and not result.passed]
    if failed:
        told = "; ".join(f"{result.name}: {result.message}" for result in failed)
        raise dg.Failure(f"node '{node_id}' fails its checks: {told}", allow_retries=False)


def worst(found: Sequence[Sequence[Finding]]) -> list[Finding]:
    """One result a check, for Dagster, of those that each recipe has: the first that failed, else the first."""
    return [next((one for one in results if not one.passed), results[0]) for results in zip(*found, strict=True)]


def recipes_of(scope: Scope, spec: PipelineSpec, node_id: str) -> list[Reads]:
    """The different ways in which the sinks below a node read its sources, at least one."""
    found: list[Reads] = []
    for sink in spec.sinks:
        if node_id in spec.ancestors(sink.id):
            look = look_at(scope.run.catalog, scope.run.environment, sink.table)
            reads = scope.run.reads_of(node_id, sink, look)
            if reads not in found:
                found.append(reads)
    return found or [scope.run.reads_of(node_id)]
