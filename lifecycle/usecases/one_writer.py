"""One table, one writing pipeline, asked before a version becomes active (D11)."""

from __future__ import annotations

from lifecycle.domain.version import Pipeline, Version
from lifecycle.errors import Refused
from lifecycle.store.unit import View


def require_one_writer(view: View, pipeline: Pipeline, version: Version) -> None:
    """Raises Refused naming each table of `version` that another pipeline writes by now, and that pipeline."""
    told = other_writers(view, pipeline, version)
    if told:
        raise Refused(f"{pipeline.name} v{version.number} cannot become active: {told}")


def other_writers(view: View, pipeline: Pipeline, version: Version) -> str:
    """The same in words; nothing when no other pipeline writes a table of `version`."""
    owners = view.pipelines.owners(view.pipelines.tables(version.id), but=pipeline.id)
    return "; ".join(
        f"{table} is written by pipeline {owner}: a table has one writing pipeline"
        for table, owner in sorted(owners.items())
    )
