"""Reading stored specs, and what the rules ask of a spec."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import croniter

from lifecycle.domain.evidence import Asked
from lifecycle.domain.version import Version
from lifecycle.spec import CustomTransform, PipelineSpec


def spec_of(version: Version) -> PipelineSpec:
    """The spec of a stored version. It was checked when it was saved and is not checked again."""
    return _read(version.spec)


@lru_cache(maxsize=256)
def _read(text: str) -> PipelineSpec:
    return PipelineSpec.model_validate_json(text, by_alias=True, by_name=False)


def is_intact(version: Version) -> bool:
    """Whether the stored text still has the digest that it was saved under."""
    return has_digest(version.spec, version.digest)


def has_digest(spec: str, digest: str) -> bool:
    """Whether `digest` is the one of the canonical text `spec`."""
    return digest == "sha256:" + hashlib.sha256(spec.encode()).hexdigest()


def asked_of(spec: PipelineSpec) -> Asked:
    """What evidence must cover. A check on a node counts for every sink that the node feeds."""
    blocking: dict[str, list[str]] = {sink.table: [] for sink in spec.sinks}
    for sink in spec.sinks:
        for node in (sink.id, *spec.ancestors(sink.id)):
            for monitor in spec.monitors_of(node):
                names = [f"{monitor.id}.{c.name}" for c in monitor.checks if c.severity == "blocking"]
                blocking[sink.table].extend(names)
    return Asked(
        tables=tuple(sink.table for sink in spec.sinks),
        blocking={table: tuple(names) for table, names in blocking.items()},
    )


def local_commands(spec: PipelineSpec) -> tuple[str, ...]:
    """Nodes that run a program which the version does not keep, but the machine has: not beyond QA (L2)."""
    lock = spec.lock
    return tuple(
        node.id
        for node in spec.transforms
        if isinstance(node, CustomTransform) and not node.is_kept(lock.files_of([node.id]) if lock else {})
    )


def next_run(spec: PipelineSpec, now: datetime) -> datetime | None:
    """When the schedule fires next (UTC); None without a schedule."""
    if spec.schedule is None:
        return None
    local = now.astimezone(ZoneInfo(spec.schedule.timezone))
    following: datetime = croniter(spec.schedule.cron, local).get_next(datetime)
    return following.astimezone(UTC)
