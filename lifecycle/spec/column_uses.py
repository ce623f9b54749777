"""Whether a definition uses a column of a table, and how: what must be known before the column goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lifecycle.spec.checks import SqlCheck
from lifecycle.spec.pipeline import AnyNode, PipelineSpec
from lifecycle.spec.sinks import SinkNode
from lifecycle.spec.sources import FilesSource, IcebergSource, KafkaSource, RateSource, SourceNode
from lifecycle.spec.tables import known_columns


@dataclass(frozen=True, slots=True)
class Usage:
    """`how` is a clause such as "reads it in node 'clean'". Not `certain`: code that cannot be traced may use it."""

    how: str
    certain: bool = True


def column_uses(spec: PipelineSpec, table: str, column: str) -> tuple[Usage, ...]:
    """Every use of a top-level column of `table`, the certain ones first. Names are compared without regard to case."""
    wanted = column.lower()
    found: dict[Usage, None] = {}
    for node in spec.sources:
        if isinstance(node.source, IcebergSource) and node.source.table == table:
            found.update(dict.fromkeys(_carried(spec, node.id, wanted, set())))
    for node in spec.sinks:
        if node.table == table:
            found.update(dict.fromkeys(_written(spec, node, wanted)))
    return tuple(sorted(found, key=lambda one: not one.certain))


def _written(spec: PipelineSpec, sink: SinkNode, column: str) -> Iterator[Usage]:
    if any(name.lower() == column for name in sink.columns) or _windows_by(spec, sink, column):
        yield Usage(f"writes by it in sink '{sink.id}'")
        return
    checked = _checked(spec, sink.id, column)
    if checked:
        yield checked
    (above,) = spec.upstream(sink.id) or ("",)
    known = known_columns(spec)
    if above and column in (name.lower() for name in known.get(above, ())):
        yield Usage(f"writes it in sink '{sink.id}'")
    elif above and not _is_closed(spec, above):
        yield Usage(f"may write it in sink '{sink.id}', whose columns its definition does not list", certain=False)


def _windows_by(spec: PipelineSpec, sink: SinkNode, column: str) -> bool:
    window = spec.partitions
    return window is not None and sink.mode == "overwrite_partitions" and window.column.lower() == column


def _carried(spec: PipelineSpec, node: str, column: str, seen: set[str]) -> Iterator[Usage]:
    """What is done with a column that the result of `node` has, there and further down."""
    if node in seen:
        return
    seen.add(node)
    checked = _checked(spec, node, column)
    if checked:
        yield checked
    for name in spec.downstream(node):
        below = spec.node(name)
        if isinstance(below, SinkNode):
            yield Usage(f"copies it into {below.table}")
        elif below.type == "transform":
            yield from _used(spec, below, node, column, seen)


def _used(spec: PipelineSpec, step: AnyNode, above: str, column: str, seen: set[str]) -> Iterator[Usage]:
    sql = getattr(step, "sql", None)
    if isinstance(sql, str):
        look = mentions(sql, above, column)
        if look is None:
            yield Usage(f"may read it in node '{step.id}', whose SQL cannot be traced", certain=False)
        elif look.named:
            yield Usage(f"reads it in node '{step.id}'")
        elif look.passed:
            yield from _carried(spec, step.id, column, seen)
        return
    python = getattr(step, "python", None)
    if isinstance(python, str) and re.search(rf"(?<!\w){re.escape(column)}(?!\w)", python, re.IGNORECASE):
        yield Usage(f"names it in the Python of node '{step.id}'")
    else:
        yield Usage(f"may read it in node '{step.id}', which is no SQL and cannot be traced", certain=False)


def _checked(spec: PipelineSpec, node: str, column: str) -> Usage | None:
    for monitor in spec.monitors_of(node):
        for check in monitor.checks:
            named = column in (name.lower() for name in check.about())
            if isinstance(check, SqlCheck):
                look = mentions(check.sql, node, column)
                named = look is None or look.named
            if named:
                return Usage(f"checks it in monitor '{monitor.id}'")
    return None


@dataclass(frozen=True, slots=True)
class Mention:
    """Whether a query names a column of a node, and whether a star of it passes the column on."""

    named: bool
    passed: bool


def mentions(sql: str, node: str, column: str) -> Mention | None:
    """How a query uses a column of `node`; None where it cannot be read. A column without a qualifier may be its."""
    from lifecycle.spec.sqltree import UNREADABLE, build_scope, exp, parse_query

    named = False
    passing: set[int] = set()  # subqueries whose result has whatever columns the node has
    try:
        root: Any = build_scope(parse_query(sql))
        for scope in root.traverse():
            if any(id(one) in passing for one in scope.set_operation_scopes or ()):
                passing.add(id(scope))
            own = {
                alias.lower()
                for alias, source in scope.sources.items()
                if (isinstance(source, exp.Table) and source.name.lower() == node.lower()) or id(source) in passing
            }
            if not own:
                continue
            others = {alias.lower() for alias in scope.sources} - own
            named = named or _names(scope, column, others) or _is_joined_by(scope, column)
            for one in scope.expression.selects:
                star: Any = one.this if isinstance(one, exp.Column) else one
                qualifier = one.table.lower() if isinstance(one, exp.Column) else ""
                if isinstance(star, exp.Star) and qualifier in {"", *own}:
                    left_out: Any = star.args.get("except_") or star.args.get("except") or ()
                    named = named or column in (str(each.name).lower() for each in left_out)
                    passing.add(id(scope))
    except UNREADABLE:
        return None
    return Mention(named, id(root) in passing)


def _names(scope: Any, column: str, others: set[str]) -> bool:
    for one in scope.columns:
        parts = [str(part.name).lower() for part in one.parts]
        if column in parts and not (len(parts) > 1 and parts[0] in others and parts[0] != column):
            return True
    return False


def _is_joined_by(scope: Any, column: str) -> bool:
    for join in scope.expression.args.get("joins") or ():
        if str(join.args.get("method") or "").upper() == "NATURAL":
            return True
        if column in (str(one.name).lower() for one in join.args.get("using") or ()):
            return True
    return False


def _is_closed(spec: PipelineSpec, name: str) -> bool:
    """Whether the definition says all columns that a node's result can have."""
    node = spec.node(name)
    if isinstance(node, SourceNode):
        source = node.source
        if isinstance(source, KafkaSource):
            return source.format != "avro" or source.schema_ is not None
        return isinstance(source, RateSource) or (isinstance(source, FilesSource) and source.schema_ is not None)
    if getattr(node, "output_schema", None) is not None:
        return True
    sql = getattr(node, "sql", None)
    if not isinstance(sql, str):
        return False
    from lifecycle.spec.sqltree import UNREADABLE, parse_query

    try:
        tree: Any = parse_query(sql)
        starred = "*" in tree.named_selects
    except UNREADABLE:
        return False
    return not starred or all(_is_closed(spec, above) for above in spec.upstream(name))
