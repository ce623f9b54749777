"""What a version says: the pipeline file as frozen models, its rules, its canonical form and digest."""

from __future__ import annotations

from lifecycle.spec.base import ENVIRONMENTS
from lifecycle.spec.canonical import canonical_json, digest, subtree_digest
from lifecycle.spec.checks import (
    AcceptedValues,
    AnyCheck,
    Freshness,
    MonitorNode,
    NotNull,
    Range,
    RowCount,
    SqlCheck,
    Unique,
)
from lifecycle.spec.clock import Schedule
from lifecycle.spec.closure import LocalCode, content_digest, local_code
from lifecycle.spec.dead_letters import DeadLettersTransform
from lifecycle.spec.errors import Problem, SpecError
from lifecycle.spec.lineage import column_lineage
from lifecycle.spec.loading import check_definition, load_pipeline, parse_pipeline
from lifecycle.spec.locking import lock_with_code, package_digest, resolve_lock
from lifecycle.spec.parameters import Parameter, ParameterValue
from lifecycle.spec.partitions import AnyPartitions, StaticPartitions, TimePartitions
from lifecycle.spec.pipeline import AnyNode, Edge, Lock, PipelineSpec, Retries, RunResources
from lifecycle.spec.schema import json_schema
from lifecycle.spec.sinks import PartitionField, SinkNode, SortField
from lifecycle.spec.sources import (
    AnySource,
    FilesSource,
    IcebergSource,
    JdbcSource,
    KafkaSource,
    RateSource,
    SourceNode,
)
from lifecycle.spec.sql import sql_parameters, sql_tables
from lifecycle.spec.steps import (
    AnyTransform,
    CustomTransform,
    DbtTransform,
    RayProcessTransform,
    RayResources,
    SparkStreamTransform,
    SparkTransform,
    Trigger,
    Watermark,
)
from lifecycle.spec.writing import dump_yaml

__all__ = [
    "ENVIRONMENTS", "AcceptedValues", "AnyCheck", "AnyNode", "AnyPartitions", "AnySource",
    "AnyTransform", "CustomTransform", "DbtTransform", "DeadLettersTransform", "Edge", "FilesSource", "Freshness",
    "IcebergSource", "JdbcSource", "KafkaSource", "LocalCode", "Lock", "MonitorNode", "NotNull", "Parameter",
    "ParameterValue", "PartitionField", "PipelineSpec", "Problem", "Range", "RateSource",
    "RayProcessTransform", "RayResources", "Retries", "RowCount", "RunResources", "Schedule",
    "SinkNode", "SortField", "SourceNode", "SparkStreamTransform", "SparkTransform", "SpecError",
    "SqlCheck", "StaticPartitions", "TimePartitions", "Trigger", "Unique", "Watermark",
    "canonical_json", "check_definition", "column_lineage", "content_digest", "digest", "dump_yaml", "json_schema",
    "load_pipeline",
    "local_code", "lock_with_code", "package_digest", "parse_pipeline", "resolve_lock", "sql_parameters", "sql_tables",
    "subtree_digest",
]  # fmt: skip
