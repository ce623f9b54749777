"""What a node is, in a few words and an icon."""

from __future__ import annotations

from lifecycle.spec import AnyNode, DbtTransform, RayProcessTransform, SinkNode, SourceNode, SparkStreamTransform
from lifecycle.spec.checks import MonitorNode
from lifecycle.spec.sources import FilesSource, IcebergSource, JdbcSource, KafkaSource
from lifecycle.spec.steps import CustomTransform, SparkTransform


def icon_of(node: AnyNode) -> str:
    """The icon in icons.svg."""
    match node:
        case SourceNode(source=FilesSource()):
            return "file"
        case SourceNode(source=IcebergSource()):
            return "table"
        case SourceNode(source=KafkaSource()) | SparkStreamTransform():
            return "wave"
        case SourceNode():
            return "source"
        case SparkTransform():
            return "spark"
        case RayProcessTransform():
            return "ray"
        case DbtTransform():
            return "blocks"
        case CustomTransform():
            return "terminal"
        case SinkNode():
            return "table"
        case MonitorNode():
            return "shield"


def kind_of(node: AnyNode) -> str:
    """What sort of node it is: Iceberg source, Spark SQL, merge sink."""
    match node:
        case SourceNode():
            names = {"iceberg": "Iceberg", "files": "file", "jdbc": "JDBC", "kafka": "Kafka", "rate": "rate"}
            return f"{names[node.source.kind]} source"
        case SparkTransform() | SparkStreamTransform():
            engine = "Spark" if isinstance(node, SparkTransform) else "Spark stream"
            return f"{engine} {'SQL' if node.sql is not None else 'Python'}"
        case RayProcessTransform():
            return "Ray Python"
        case DbtTransform():
            return "dbt"
        case CustomTransform():
            return "custom command"
        case SinkNode():
            return f"{node.mode.replace('_', ' ')} sink"
        case MonitorNode():
            return "checks"


def subject_of(node: AnyNode) -> str:
    """What it reads, runs or writes: a table, a path, a function; empty where its code says it."""
    match node:
        case SourceNode(source=IcebergSource() as source):
            return source.table if source.read == "full" else f"{source.table}, {source.read}"
        case SourceNode(source=FilesSource() as source):
            return source.path
        case SourceNode(source=JdbcSource() as source):
            return f"{source.connection}: {source.table or 'query'}"
        case SourceNode(source=KafkaSource() as source):
            return f"{source.connection}: {source.topic}"
        case SparkTransform() | SparkStreamTransform() | RayProcessTransform():
            return node.entrypoint or ""
        case DbtTransform():
            return f"{node.project} {node.select}".strip()
        case CustomTransform():
            return node.image or " ".join(node.command)
        case SinkNode():
            return node.table
        case _:
            return ""
