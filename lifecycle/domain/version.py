"""Pipelines, their immutable versions, and where versions are active (L1)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen


class Pipeline(Frozen):
    """A name with versions. Deleting leaves a tombstone; the name stays reserved (L16)."""

    id: int
    name: str
    created_at: datetime
    created_by: int | None
    deleted_at: datetime | None
    deleted_by: int | None


class Summary(Frozen):
    """A pipeline in a list: its newest version's number, and that of the active one by environment."""

    id: int
    name: str
    newest: int
    active: dict[Environment, int]


class Version(Frozen):
    """One saved definition. `spec` is canonical JSON with its lock; `origin` says where it came from."""

    id: int
    pipeline_id: int
    number: int
    digest: str
    parent_id: int | None
    spec: str
    message: str
    origin: dict[str, Any]
    author: int | None
    acted_for: int | None
    created_at: datetime


class Contribution(Frozen):
    """Somebody saved, imported or asked for a version, for themselves or for somebody."""

    version_id: int
    parent_id: int | None
    person: int | None
    acted_for: int | None
    at: datetime | None = None


class Label(StrEnum):
    """How a version came to be active. UNREVIEWED is shown wherever the version is (L7)."""

    FREE = "free"
    APPROVED = "approved"
    UNREVIEWED = "unreviewed"


class Deployment(Frozen):
    """One version was or is (no `ended_at`) active in an environment."""

    id: int
    environment: Environment
    pipeline_id: int
    version_id: int
    reason: str
    label: Label
    promotion_id: int | None
    deployed_digest: str
    started_at: datetime
    started_by: int | None
    ended_at: datetime | None
    ended_reason: str | None
