"""What Dagster's UI offers to whom, by Dagster's own permissions: a second lock behind the table of mutations."""

from __future__ import annotations

from collections.abc import Mapping

from drls_dagster.dagster_private.workspace import EDITOR_PERMISSIONS, PermissionResult, Permissions
from drls_dagster.up.web.visitor import Visitor
from lifecycle.domain.roles import Role

_ENGINEER, _LEAD, _ADMIN = Role.DATA_ENGINEER, Role.LEAD, Role.ADMIN
# The least role on anything: which pipeline it is about is asked where the mutation is judged.
SOMEWHERE: Mapping[Permissions, Role] = {
    Permissions.LAUNCH_PIPELINE_EXECUTION: _ENGINEER,
    Permissions.LAUNCH_PIPELINE_REEXECUTION: _ENGINEER,
    Permissions.LAUNCH_PARTITION_BACKFILL: _ENGINEER,
    Permissions.CANCEL_PARTITION_BACKFILL: _ENGINEER,
    Permissions.TERMINATE_PIPELINE_EXECUTION: _ENGINEER,
    Permissions.RELOAD_REPOSITORY_LOCATION: _ENGINEER,
    Permissions.SCHEDULE_DRY_RUN: _ENGINEER,
    Permissions.START_SCHEDULE: _LEAD,
    Permissions.STOP_RUNNING_SCHEDULE: _LEAD,
    Permissions.REPORT_RUNLESS_ASSET_EVENTS: _LEAD,
}
# The least role on everything.
EVERYWHERE: Mapping[Permissions, Role] = {
    Permissions.EDIT_SENSOR: _LEAD,
    Permissions.SENSOR_DRY_RUN: _LEAD,
    Permissions.UPDATE_SENSOR_CURSOR: _LEAD,
    Permissions.RELOAD_WORKSPACE: _LEAD,
    Permissions.DELETE_PIPELINE_RUN: _ADMIN,
    Permissions.WIPE_ASSETS: _ADMIN,
    Permissions.EDIT_DYNAMIC_PARTITIONS: _ADMIN,
    Permissions.TOGGLE_AUTO_MATERIALIZE: _ADMIN,
    Permissions.EDIT_CONCURRENCY_LIMIT: _ADMIN,
    Permissions.EDIT_APP_MANAGED_COMPONENTS: _ADMIN,
    Permissions.REFRESH_COMPONENT_STATE: _ADMIN,
}


def permissions_of(visitor: Visitor | None) -> Mapping[str, PermissionResult]:
    """Every permission of Dagster. Whoever is not known, or may not write, has none of them."""
    writes = visitor is not None and visitor.writes
    highest = visitor.highest if visitor and writes else None
    wide = visitor.wide if visitor and writes else None
    return {permission: _result(permission, highest, wide) for permission in Permissions}


def _result(permission: Permissions, highest: Role | None, wide: Role | None) -> PermissionResult:
    least, has = (SOMEWHERE[permission], highest) if permission in SOMEWHERE else (EVERYWHERE[permission], wide)
    enabled = has is not None and has.includes(least) and EDITOR_PERMISSIONS[permission]
    return PermissionResult(enabled, None if enabled else f"Needs the role {least.value}; ask an Admin for a grant")
