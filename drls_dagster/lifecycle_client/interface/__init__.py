"""What can be asked of a lifecycle. Whoever holds an instance acts as the owner of its token (A1).

Every method raises LifecycleError: Unauthorized (the token), Forbidden (the person, or the token's scopes),
NotFound, Invalid, Conflict, Refused. `key` makes a repetition of the same command answer the same.
"""

from __future__ import annotations

from drls_dagster.lifecycle_client.interface.audit import Audit, Log
from drls_dagster.lifecycle_client.interface.environments import Environments
from drls_dagster.lifecycle_client.interface.lifecycle import Lifecycle
from drls_dagster.lifecycle_client.interface.people import People
from drls_dagster.lifecycle_client.interface.pipelines import Pipelines
from drls_dagster.lifecycle_client.interface.promotions import Promotions

__all__ = ["Audit", "Environments", "Lifecycle", "Log", "People", "Pipelines", "Promotions"]
