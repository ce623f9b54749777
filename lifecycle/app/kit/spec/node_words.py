"""What a node is, in a few words and an icon."""

from __future__ import annotations

from lifecycle.spec import (
    AnyNode,
    DeadLettersTransform,
    RayProcessTransform,
    SinkNode,
    SourceNode,
    SparkStreamTransform,
)
from lifecycle.spec.checks import MonitorNode
from lifecycle.spec.sources import FilesSource, IcebergSource, KafkaSource
from lifecycle.spec.steps import CustomTransform, SparkTransform


def icon_of(node: AnyNode) -> str:
    """The icon in icons.svg; kinds that have none of their own share one."""
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
        case DeadLettersTransform():
            return "wave"
        case CustomTransform():
            return "terminal"
        case SinkNode():
            return "table"
        case MonitorNode():
            return "shield"
        case _:
            return "blocks"


def kind_of(node: AnyNode) -> str:
    """What sort of node it is: Iceberg source, Spark SQL, merge sink."""
    match node:
        case SourceNode():
            return f"{node.source.label} source"
        case SinkNode():
            return f"{node.mode.replace('_', ' ')} sink"
        case MonitorNode():
            return "checks"
        case _:
            return node.label


def subject_of(node: AnyNode) -> str:
    """What it reads, runs or writes: a table, a path, a function; empty where its code says it."""
    match node:
        case SourceNode():
            return node.source.subject
        case SinkNode():
            return node.table
        case MonitorNode():
            return ""
        case _:
            return node.subject
