"""What production would go back to (L1): promotions push a release, rollbacks take one off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen, SnapshotId
from lifecycle.domain.run import InputRead
from lifecycle.domain.version import Deployment, Label

ROLLBACK = "rollback"


def previous_release(history: Sequence[Deployment]) -> Deployment | None:
    """The release that a rollback of the active one re-activates; None without one.

    `history` is every deployment of one pipeline in one environment, oldest first.
    """
    stack: list[Deployment] = []
    for deployment in history:
        if deployment.reason == ROLLBACK and stack:
            stack.pop()
            if stack:
                stack[-1] = deployment
                continue
        stack.append(deployment)
    if len(stack) < 2 or stack[-1].ended_at is not None:
        return None
    return stack[-2]


class Release(Frozen):
    """A version in an environment, with what a code location says of it. `approvers` are names."""

    pipeline: str
    number: int
    digest: str
    spec: str
    environment: Environment
    label: Label
    since: datetime
    promotion_id: int | None
    author: str | None
    approvers: tuple[str, ...] = ()


class Active(Frozen):
    """A deployment with the names that people read; `by` is who made it active."""

    deployment: Deployment
    pipeline: str
    number: int
    by: str | None


class TableThen(Frozen):
    """A table of production as it stood at a time: since when at which snapshot, and where that came from.

    `run_id`, the number `version` and `inputs` are of the run that wrote the snapshot, wherever it ran; `request`
    brought it here, where no run published it here itself. All of them are missing of a table that was never
    published (no `snapshot` either), and the first three where a Lead adopted what others had written (L15).
    """

    table: str
    snapshot: SnapshotId | None = None
    since: datetime | None = None
    version: int | None = None
    run_id: str | None = None
    request: int | None = None
    inputs: tuple[InputRead, ...] = ()
