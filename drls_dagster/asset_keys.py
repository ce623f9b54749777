"""Asset keys: tables are known by their name in the catalog, other nodes by their pipeline."""

from __future__ import annotations

import dagster as dg

from lifecycle.domain.environment import Environment
from lifecycle.spec import IcebergSource, PipelineSpec, SinkNode, SourceNode


def table_key(environment: Environment, catalog: str, table: str) -> dg.AssetKey:
    """`[environment, catalog, namespace…, table]`: the same for the sink that writes it and sources that read it."""
    return dg.AssetKey([str(environment), catalog, *table.split(".")])


def node_key(spec: PipelineSpec, node_id: str, environment: Environment, catalog: str) -> dg.AssetKey:
    """The asset key of a source, transform or sink."""
    node = spec.node(node_id)
    if isinstance(node, SinkNode):
        return table_key(environment, catalog, node.table)
    if isinstance(node, SourceNode) and isinstance(node.source, IcebergSource):
        return table_key(environment, catalog, node.source.table)
    return dg.AssetKey([str(environment), spec.name, node_id])
