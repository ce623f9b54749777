"""The fence of this installation as the lifecycle knows it, for receipts, policies and people."""

from __future__ import annotations

import os

from drls_dagster.errors import DrlsError
from drls_dagster.fences.fences import can_view, check_account, found
from drls_dagster.settings import Settings
from lifecycle.domain.fence import FenceFacts, FenceKind

_WITHOUT_A_VIEW = (
    "; no mount namespace can be made here, so Java code in the engine can connect to Unix sockets of this account's "
    "other programs"
)


def fence_facts(settings: Settings) -> FenceFacts:
    """What confines pipeline code here. The first call of a process tries it, which takes a tenth of a second."""
    if settings.engine.spark_connect:
        return _none("engine.spark_connect names an engine that DRLS does not start, so DRLS cannot fence it")
    if settings.engine.ray_address or os.environ.get("RAY_ADDRESS"):
        return _none("Spark's Python functions have no fence on a Ray cluster that DRLS does not start")
    try:
        check_account(settings)
        status = found(settings)
    except DrlsError as error:
        return _none(error.message)
    weak = "" if not status.is_on or can_view() else _WITHOUT_A_VIEW
    return FenceFacts(kind=FenceKind(status.kind), detail=f"{status.detail}{weak}")


def _none(detail: str) -> FenceFacts:
    return FenceFacts(kind=FenceKind.NONE, detail=detail)
