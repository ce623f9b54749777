"""The canonical form of a spec and its digests.

Equal meaning gives equal bytes: defaults are filled in, absent and empty are the same, nodes are ordered by id and
edges by the node they lead to (the order of a node's own inputs counts), columns keep their order. The
canonical JSON is itself a pipeline file with the same digest.
"""

from __future__ import annotations

import hashlib
from typing import Any

from lifecycle.spec.custom import CustomTransform
from lifecycle.spec.dbt import DbtTransform
from lifecycle.spec.normal import canonical_bytes
from lifecycle.spec.pipeline import PipelineSpec


def canonical_json(spec: PipelineSpec) -> bytes:
    """RFC 8785 JSON of the whole spec, its lock block included."""
    return spec.canonical_bytes


def digest(spec: PipelineSpec) -> str:
    """`sha256:<hex>` over the canonical JSON: the identity of a version."""
    return _sha256(canonical_json(spec))


def subtree_digest(spec: PipelineSpec, node_id: str) -> str:
    """`sha256:<hex>` over what decides a node's output, and over nothing else.

    That is the node, everything upstream of it, the edges among them, the parameters those nodes use, their
    lock entries, and how the pipeline is partitioned (not how far). What only says how much machine a step
    gets is left out. Raises KeyError for an unknown node.
    """
    spec.node(node_id)
    inside = {node_id, *spec.ancestors(node_id)}
    whole = spec.normal_form
    parameters = {name for node in inside for name in spec.used_parameters(node)}
    code, projects, images = set[str](), set[str](), set[str]()
    for node in (spec.node(name) for name in inside):
        code.add(getattr(node, "entrypoint", None) or "")
        if isinstance(node, DbtTransform):
            projects.add(node.project)
        if isinstance(node, CustomTransform):
            images.add(node.image or "")
    lock = whole.get("lock", {})
    partitions = whole.get("partitions", {})
    return _sha256(
        canonical_bytes(
            {
                "nodes": [_deciding(node) for node in whole["nodes"] if node["id"] in inside],
                "edges": [edge for edge in whole.get("edges", []) if edge["to"] in inside],
                "parameters": {
                    name: {key: parameter[key] for key in ("type", "default") if key in parameter}
                    for name, parameter in whole.get("parameters", {}).items()
                    if name in parameters
                },
                "partitions": {key: partitions[key] for key in ("kind", "column", "timezone") if key in partitions},
                "lock": {
                    "code": {key: value for key, value in lock.get("code", {}).items() if key in code},
                    "dbt": {key: value for key, value in lock.get("dbt", {}).items() if key in projects},
                    "images": {key: value for key, value in lock.get("images", {}).items() if key in images},
                    **({"files": files} if (files := spec.lock.files_of(inside) if spec.lock else {}) else {}),
                },
            }
        )
    )


def _deciding(node: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != "resources"}


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
