"""Which columns of which nodes decide each column of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MAX_STEPS = 2000

Origins = tuple[tuple[str, str], ...]


def column_lineage(sql: str, columns: Mapping[str, Sequence[str]]) -> dict[str, Origins]:
    """Per column of a query's result the (node, column) pairs it comes from, sorted.

    `columns` holds the columns of each upstream node, as far as they are known. A column that cannot be
    traced, or that comes from no column at all, is left out; SQL that cannot be read gives {}. Never raises.
    """
    from lifecycle.spec.sqltree import UNREADABLE, build_scope, parse_query, qualify

    known = {node.lower(): tuple(names) for node, names in columns.items()}
    schema: dict[str, Any] = {node: dict.fromkeys(names, "unknown") for node, names in known.items() if names}
    try:
        tree: Any = parse_query(sql)
        if _grows(tree):
            return {}
        # Qualifying writes names in lower case; the result has them as the query spells them.
        spelled = {name.lower(): name for name in tree.named_selects}
        tree = qualify(tree, schema=schema, dialect="spark", validate_qualify_columns=False, quote_identifiers=False)
        scope = build_scope(tree)
        names: list[str] = tree.named_selects if scope else []
    except UNREADABLE:
        return {}
    traced = {spelled.get(name, name): _origins(name, tree, scope, known) for name in names if name != "*"}
    return {name: origins for name, origins in traced.items() if name and origins}


def _origins(column: str, tree: Any, scope: Any, known: Mapping[str, tuple[str, ...]]) -> Origins:
    from lifecycle.spec import sqltree

    steps = 0

    def count(_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps > _MAX_STEPS:
            raise sqltree.SqlReadError("the column has too many ways to its origins", None)

    try:
        root: Any = sqltree.lineage(  # pyright: ignore[reportUnknownMemberType]
            column, tree, {}, scope=scope, dialect="spark", trim_selects=False, copy=False, on_node=count
        )
        leaves = [leaf for leaf in root.walk() if not leaf.downstream]
        found = [
            (leaf.expression.name.lower(), sqltree.exp.to_column(leaf.name).name)
            for leaf in leaves
            if isinstance(leaf.expression, sqltree.exp.Table)
        ]
    except sqltree.UNREADABLE:
        return ()
    origins: set[tuple[str, str]] = set()
    for node, name in found:
        spelled = {other.lower(): other for other in known.get(node, ())}
        if name != "*" and node in known and (name.lower() in spelled or not spelled):
            origins.add((node, spelled.get(name.lower(), name)))
    return tuple(sorted(origins))


def _grows(tree: Any) -> bool:
    """Whether aliases that build on aliases of the same SELECT would, written out, become too large."""
    from lifecycle.spec.sqltree import exp

    for select in tree.find_all(exp.Select):
        sizes: dict[str, int] = {}
        for projection in select.expressions:
            size = sum(sizes.get(column.name.lower(), 1) for column in projection.find_all(exp.Column))
            if size > _MAX_STEPS:
                return True
            if isinstance(projection, exp.Alias):
                sizes[projection.alias.lower()] = max(size, 1)
    return False
