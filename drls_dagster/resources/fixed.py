"""A resource that no launch can configure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg


def fixed(resource: dg.ConfigurableResource[Any]) -> dg.ResourceDefinition:
    """The resource as it is given here: run configuration that names a value for it is refused.

    Dagster lets a launch replace any value of a ConfigurableResource; of these it would choose which lifecycle is
    asked, and which catalog is written to. Each run gets an object of its own.
    """

    # An empty schema takes nothing; none at all would take anything.
    @dg.resource(config_schema={}, description=type(resource).__doc__)
    def made(context: dg.InitResourceContext) -> Iterator[Any]:
        own = type(resource)(**{name: getattr(resource, name) for name in type(resource).model_fields})
        with own.yield_for_execution(context) as ready:
            yield ready

    return made
