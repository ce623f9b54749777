"""What the orchestrator and the ledger remember of one run. People read it; no rule does (L14)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen


class Ending(StrEnum):
    """How far a run is, or how it ended. REFUSED: the gate let it do nothing."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class RunPart(Frozen):
    """A pipeline that the run executes, as its execution plan says; the digest can be that of a draft."""

    pipeline: str
    environment: Environment
    digest: str


class StepFailure(Frozen):
    """A step that failed, in the words of its error."""

    step: str
    node: str
    pipeline: str
    message: str


class FailedCheck(Frozen):
    """A check that failed, and the first rows that it failed on, as far as they are still kept."""

    node: str
    check: str
    blocking: bool
    message: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()


class SourceSeen(Frozen):
    """What the run read of a source: `what` in words, files with what tells another content, columns with types."""

    what: str
    files: dict[str, str] = Field(default_factory=dict)
    rows: int | None = None
    columns: dict[str, str] = Field(default_factory=dict)


class RunFacts(Frozen):
    """One run. `said` are its errors and what ended it, oldest first; `columns` those of steps and tables, by node."""

    run_id: str
    parts: tuple[RunPart, ...]
    ending: Ending
    launched_by: str | None = None
    partition: str | None = None
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    failures: tuple[StepFailure, ...] = ()
    failed_checks: tuple[FailedCheck, ...] = ()
    said: tuple[str, ...] = ()
    sources: dict[str, SourceSeen] = Field(default_factory=dict)
    columns: dict[str, dict[str, str]] = Field(default_factory=dict)
    tools: dict[str, str] = Field(default_factory=dict)
