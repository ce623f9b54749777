"""One table, one writing pipeline, asked before a version becomes active (D11)."""

from __future__ import annotations

from lifecycle.domain.checklist import Check
from lifecycle.domain.version import Pipeline, Version
from lifecycle.store.unit import View


def writer_check(view: View, pipeline: Pipeline, version: Version) -> Check:
    """Whether no other pipeline writes a table of `version` by now; each of those that are, and by whom."""
    told = other_writers(view, pipeline, version)
    if told:
        return Check(False, f"{pipeline.name} v{version.number} cannot become active: {told}")
    return Check(True, f"no other pipeline writes what {pipeline.name} v{version.number} writes")


def other_writers(view: View, pipeline: Pipeline, version: Version) -> str:
    """The same in words; nothing when no other pipeline writes a table of `version`."""
    owners = view.pipelines.owners(view.pipelines.tables(version.id), but=pipeline.id)
    return "; ".join(
        f"{table} is already written by pipeline {owner}: only one pipeline may write a table"
        for table, owner in sorted(owners.items())
    )
