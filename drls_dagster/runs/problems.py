"""Errors on their way from the run service to a run: the same class with the same message arrives."""

from __future__ import annotations

from typing import Any

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lakehouse.commit_retry import CommitConflictError
from drls_dagster.lakehouse.data_plane import CatalogFailed, CatalogFault
from drls_dagster.lakehouse.refs import RefMoved
from drls_dagster.ledger import RunTakenForDead
from drls_dagster.lifecycle_client.opening import NoLifecycleYet
from drls_dagster.runs.refusal import GateRefused
from lifecycle import errors

MEDIA_TYPE = "application/problem+json"
_KINDS: dict[str, type[DrlsError]] = {
    kind.__name__: kind
    for kind in (
        *(CatalogFailed, CatalogFault, CommitConflictError, GateRefused, NoLifecycleYet, RefMoved, RunTakenForDead),
        *(errors.Conflict, errors.Forbidden, errors.Invalid, errors.LeaseLost, errors.NotFound, errors.Refused),
        *(errors.StoreError, errors.TooMany, errors.Unauthorized, errors.Unavailable, UsageError),
    )
}


def problem_of(error: DrlsError) -> dict[str, Any]:
    """An error as problem+json (RFC 9457)."""
    kind = type(error).__name__
    return {"status": error.status, "code": error.code, "title": kind, "kind": kind, "detail": error.message}


def raised(problem: dict[str, Any]) -> DrlsError:
    """The error that the service raised; of a class that does not travel, one that says as much."""
    nearest = errors.Unavailable if problem.get("status") == errors.Unavailable.status else DrlsError
    kind = _KINDS.get(str(problem.get("kind")), nearest)
    return kind(str(problem.get("detail") or "the run service failed"))
