"""What a pipeline says of the tables around it: their names, the columns it knows of, and where those come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifecycle.spec.lineage import Origins, column_lineage
from lifecycle.spec.pipeline import AnyNode, PipelineSpec
from lifecycle.spec.sinks import SinkNode
from lifecycle.spec.sources import FilesSource, IcebergSource, KafkaSource, RateSource, SourceNode

Columns = Mapping[str, tuple[str, ...]]


def read_from(node: SourceNode) -> str:
    """What a source reads: the name of an Iceberg table, else the kind of place and the place."""
    source = node.source
    if isinstance(source, IcebergSource):
        return source.table
    return f"{source.kind}: {source.subject}" if source.subject else source.kind


def known_columns(spec: PipelineSpec) -> Columns:
    """By node the columns that the definition alone names, without looking at any table. Nodes may have more."""
    found: dict[str, tuple[str, ...]] = {}
    for name in spec.topological():
        node = spec.node(name)
        columns = _columns(spec, node, found)
        checked = [column for one in spec.monitors_of(name) for check in one.checks for column in check.about()]
        if node.type != "monitor":
            found[name] = tuple(dict.fromkeys((*columns, *checked)))
    return found


def table_lineage(spec: PipelineSpec) -> dict[str, dict[str, Origins]]:
    """By sink table and column: the (table or other place, column) pairs that it comes from.

    As far as SQL alone leads: a column that Python makes, or that passes through it, is left out.
    """
    columns = known_columns(spec)
    traced: dict[str, dict[str, Origins]] = {}
    for name in spec.topological():
        node = spec.node(name)
        if isinstance(node, SourceNode):
            place = read_from(node)
            traced[name] = {column: ((place, column),) for column in columns[name]}
        elif isinstance(node, SinkNode):
            (above,) = spec.upstream(name) or ("",)
            traced[name] = traced.get(above, {})
        elif sql := getattr(node, "sql", None):
            upstream = {one: columns.get(one, ()) for one in spec.upstream(name)}
            steps = column_lineage(sql, upstream)
            traced[name] = {column: _through(spec, origins, traced) for column, origins in steps.items()}
    return {
        sink.table: {column: origins for column, origins in traced[sink.id].items() if origins}
        for sink in spec.sinks
        if sink.id in traced
    }


def _through(spec: PipelineSpec, origins: Origins, traced: Mapping[str, Mapping[str, Origins]]) -> Origins:
    found: set[tuple[str, str]] = set()
    for name, column in origins:
        node = spec.node(name)
        if isinstance(node, SourceNode):
            found.add((read_from(node), column))
        else:
            found.update(traced.get(name, {}).get(column, ()))
    return tuple(sorted(found))


def _columns(spec: PipelineSpec, node: AnyNode, known: Columns) -> tuple[str, ...]:
    upstream = {one: known.get(one, ()) for one in spec.upstream(node.id)}
    if isinstance(node, SourceNode):
        return _of_source(node)
    if isinstance(node, SinkNode):
        return (*(column for columns in upstream.values() for column in columns), *node.columns)
    declared = getattr(node, "output_schema", None)
    if declared is not None:
        return tuple(declared)
    sql = getattr(node, "sql", None)
    return _selected(sql, upstream) if isinstance(sql, str) else ()


def _of_source(node: SourceNode) -> tuple[str, ...]:
    match node.source:
        case FilesSource():
            return tuple(node.source.schema_ or ())
        case KafkaSource():
            return node.source.columns
        case RateSource():
            return ("timestamp", "value")
        case _:
            return ()


def _selected(sql: str, upstream: Columns) -> tuple[str, ...]:
    """The columns of a query's result; of `*` those that are known."""
    from lifecycle.spec.sqltree import UNREADABLE, parse_query

    try:
        tree: Any = parse_query(sql)
        names: list[str] = tree.named_selects
    except UNREADABLE:
        return ()
    starred = [column for columns in upstream.values() for column in columns] if "*" in names else []
    return tuple(dict.fromkeys((*starred, *(name for name in names if name and name != "*"))))
