"""What a source that is no Iceberg table resolves to in an environment, hashed (L3, L4).

Two environments with one fingerprint read from the same place. What is hashed holds no credential: user and
password of a URI and its query are left out, and of a connection host, port, database, user and options count.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import rfc8785

from lifecycle.domain.environment import Environment
from lifecycle.spec import IcebergSource, PipelineSpec
from lifecycle.spec.kind import LandingPath, NamedConnection

if TYPE_CHECKING:
    from drls_dagster.settings import Settings
    from lifecycle.spec import SourceNode


def fingerprints(spec: PipelineSpec, settings: Settings, environment: Environment) -> Mapping[str, str]:
    """Per source node that is no Iceberg table: `sha256:<hex>` of the place it is read from."""
    return {
        node.id: fingerprint(node, settings, environment)
        for node in spec.sources
        if not isinstance(node.source, IcebergSource)
    }


def fingerprint(node: SourceNode, settings: Settings, environment: Environment) -> str:
    """Of one such node; what a run puts into its receipt."""
    return fingerprint_of(_place(node, settings, environment))


def fingerprint_of(place: dict[str, Any]) -> str:
    """Of what a place is known by."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps(place)).hexdigest()


def _place(node: SourceNode, settings: Settings, environment: Environment) -> dict[str, Any]:
    kind = node.source.kind
    match node.source.place:
        case LandingPath(path):
            return {"kind": kind, "at": _resolved(path, settings.landing_for(environment))}
        case NamedConnection(name):
            at = _connected(name, settings, environment)
            others = [_connected(one, settings, environment) for one in node.source.connections if one != name]
            return {"kind": kind, **at, **({"with": others} if others else {})}
        case None:
            return {"kind": kind}


def _connected(name: str, settings: Settings, environment: Environment) -> dict[str, Any]:
    connection = settings.connection_for(environment, name)
    if connection is not None:
        return {"at": connection.place}
    # Nothing shows that two environments mean the same server.
    return {"connection": name, "environment": str(environment)}


def _resolved(path: str, landing: str) -> str:
    """The absolute path, or the URI without credentials, that the source's path stands for."""
    if "://" in path or "://" in landing:
        parts = urlsplit(path if "://" in path else f"{landing.rstrip('/')}/{path}")
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return os.path.abspath(os.path.join(os.path.expanduser(landing), path))
