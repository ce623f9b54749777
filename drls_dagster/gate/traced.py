"""A run's place in a trace: a tag of the run, which anybody may set and which allows nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.dagster_private.tags import HIDDEN_TAG_PREFIX
from drls_dagster.traces.place import HERE, Place, read_place

if TYPE_CHECKING:
    from dagster import DagsterRun

TRACE_TAG = f"{HIDDEN_TAG_PREFIX}drls_traceparent"


def place_of(run: DagsterRun) -> Place | None:
    """Where the run belongs; None for a run of no trace, and for a tag that says no place."""
    return read_place(run.tags.get(TRACE_TAG))


def tags_here() -> dict[str, str]:
    """The tag for a run that is launched from the span that this process is in."""
    place = HERE.get()
    return {} if place is None else {TRACE_TAG: place.text}
