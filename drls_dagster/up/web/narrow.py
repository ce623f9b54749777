"""What somebody may ask Dagster who may not see all of its pipelines: about runs of their own pipelines, no further.

Dagster's schema leads from everything to everything, so this is a list of what is let through, not of what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dagster import AssetKey
from graphql import (
    FieldNode,
    GraphQLSchema,
    GraphQLUnionType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    visit,
)

from drls_dagster.dagster_private.workspace import is_implicit_asset_job_name
from drls_dagster.tags import PIPELINE_TAG
from drls_dagster.up.web.operations import Operation, OperationType
from drls_dagster.up.web.touched import EVERYTHING, Arguments, Finder, Touched
from lifecycle.errors import Forbidden

WHY = "shows pipelines of others; ask an Admin for the role Viewer on everything"


def _logs(find: Finder, given: Arguments) -> Touched:
    key = given["logKey"]
    # A part of a key is a part of a path.
    if not key or any(sign in part for part in key for sign in ("/", "\\", "..")):
        return EVERYTHING
    return find.run(key[0])


def _runs(_find: Finder, given: Arguments) -> Touched:
    """By a pipeline's job, or by its tag, which the run coordinator writes over whatever a launch has put there."""
    wanted = given.get("filter") or {}
    job = wanted.get("pipelineName")
    names = {tag["value"] for tag in wanted.get("tags") or () if tag["key"] == PIPELINE_TAG}
    if job and not is_implicit_asset_job_name(job):
        names.add(job)
    return Touched(frozenset(("", name) for name in names)) if names else EVERYTHING


def _assets(find: Finder, given: Arguments) -> Touched:
    """By a pipeline's group, or by their keys."""
    group, keys = given.get("group"), given.get("assetKeys") or []
    if given.get("pipeline") or bool(group) == bool(keys):
        return EVERYTHING
    return find.group(group) if group else find.assets(AssetKey(list(one["path"])) for one in keys)


def _job(find: Finder, given: Arguments) -> Touched:
    selector = given["params"]
    if is_implicit_asset_job_name(selector["pipelineName"]):
        return EVERYTHING
    return find.job(selector)


def _backfill(find: Finder, given: Arguments) -> Touched:
    return find.backfill(given["backfillId"])


def _nothing(_find: Finder, _given: Arguments) -> Touched:
    return Touched()


def _run(find: Finder, given: Arguments) -> Touched:
    return find.run(given["runId"])


ROOTS: Mapping[str, Callable[[Finder, Arguments], Touched]] = {
    "version": _nothing,
    "permissions": _nothing,
    "runOrError": _run,
    "pipelineRunOrError": _run,
    "runsOrError": _runs,
    "pipelineRunsOrError": _runs,
    "logsForRun": _run,
    "pipelineRunLogs": _run,
    "capturedLogs": _logs,
    "capturedLogsMetadata": _logs,
    "assetNodes": _assets,
    "pipelineOrError": _job,
    "partitionBackfillOrError": _backfill,
}
# Types whose plain fields say something of one run only. Their fields of any other type are not let through.
_TYPES = (
    *("Run", "Runs", "PipelineRun", "PipelineRuns", "PipelineTag", "RunStatsSnapshot", "RunStatsSnapshotOrError"),
    *("EventConnection", "DagsterRunEvent", "MessageEvent", "PythonError", "Error", "ErrorChainLink"),
    *("TerminatePipelineExecutionSuccess", "TerminatePipelineExecutionFailure", "PipelineConfigValidationError"),
    *("RunStepStats", "AssetCheckEvaluation", "MetadataEntry", "TableSchema", "TableColumn"),
    # What a pipeline's own assets say of themselves, the keys of the tables that it reads included.
    *("AssetKey", "DefinitionTag", "AssetOwner", "BackfillPolicy", "PartitionKeys"),
)
# Of these types only these fields: others lead to who reads a table, or to runs of several pipelines.
_ONLY: Mapping[str, frozenset[str]] = {
    "AssetNode": frozenset(
        {
            *("id", "assetKey", "groupName", "dependencyKeys", "description", "kinds", "tags", "owners"),
            *("isExecutable", "isMaterializable", "isPartitioned", "metadataEntries", "backfillPolicy"),
            *("hasMaterializePermission", "partitionKeys"),
        }
    ),
    "Pipeline": frozenset({"id", "name", "description", "isJob", "isAssetJob", "partitionKeysOrError"}),
    "PartitionBackfill": frozenset(
        {"id", "status", "numPartitions", "partitionNames", "timestamp", "endTimestamp", "isAssetBackfill", "error"}
    ),
}
# They lead away from the run: a key can name another run's file.
_NOT = frozenset({("Run", "capturedLogs"), ("PipelineRun", "capturedLogs")})


def reads_of(schema: GraphQLSchema, operation: Operation, find: Finder) -> list[Touched]:
    """What the operation would read, of a query or a subscription; of a mutation what its answer shows.

    Raises Forbidden for what leads further.
    """
    if operation.kind is not OperationType.MUTATION:
        unknown = [field.name for field in operation.fields if field.name not in ROOTS]
        if unknown:
            raise Forbidden(f"{unknown[0]} {WHY}")
    checker = _Checker(schema, operation)
    visit(operation.document, TypeInfoVisitor(checker.info, checker))
    if checker.refused:
        raise Forbidden(f"{checker.refused} {WHY}")
    if operation.kind is OperationType.MUTATION:
        return []
    return [ROOTS[field.name](find, field.arguments) for field in operation.fields]


class _Checker(Visitor):
    """Finds the first field that leads to a type of which nothing is let through."""

    def __init__(self, schema: GraphQLSchema, operation: Operation) -> None:
        super().__init__()
        self.info = TypeInfo(schema)
        self.refused = ""
        self._schema = schema
        roots = {schema.query_type, schema.mutation_type, schema.subscription_type}
        self._roots = {one.name for one in roots if one}
        self._allowed = self._all(_TYPES) | self._answers([field.name for field in operation.fields])

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent, kind = self.info.get_parent_type(), get_named_type(self.info.get_type())
        if self.refused or parent is None or kind is None or node.name.value.startswith("__"):
            return
        leads = is_composite_type(kind) and parent.name not in self._roots and kind.name not in self._allowed
        named = (parent.name, node.name.value)
        if leads or named in _NOT or (parent.name in _ONLY and node.name.value not in _ONLY[parent.name]):
            self.refused = f"{parent.name}.{node.name.value}"

    def _answers(self, names: Sequence[str]) -> set[str]:
        """The types that the fields at the root answer with."""
        roots = (self._schema.query_type, self._schema.mutation_type, self._schema.subscription_type)
        fields = [root.fields[name] for root in roots if root for name in names if name in root.fields]
        return self._all([kind.name for field in fields if is_composite_type(kind := get_named_type(field.type))])

    def _all(self, names: Sequence[str]) -> set[str]:
        """These types, and those that a union of them stands for."""
        found = set(names)
        for name in names:
            kind = self._schema.get_type(name)
            if isinstance(kind, GraphQLUnionType) and is_abstract_type(kind):
                found |= {one.name for one in kind.types}
        return found
