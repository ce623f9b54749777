"""Owners and tags of a pipeline that Dagster can show; the lifecycle keeps all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lifecycle.spec import PipelineSpec

# As in Dagster's own checks: an address ends in two to seven letters, a tag has no spaces.
_ADDRESS = re.compile(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}\b")
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,63}")


def owners_of(spec: PipelineSpec) -> list[str]:
    """The teams, and the people whose address Dagster takes."""
    return [owner for owner in spec.owners if owner.startswith("team:") or _ADDRESS.fullmatch(owner)]


def tags_of(spec: PipelineSpec) -> Mapping[str, str]:
    """The tags that Dagster takes, as `drls/<name>`."""
    fitting = {name: value for name, value in spec.tags.items() if _TAG.fullmatch(name)}
    return {f"drls/{name}": value for name, value in fitting.items() if not value or _TAG.fullmatch(value)}


def left_out(spec: PipelineSpec) -> Mapping[str, str]:
    """Owners and tags that Dagster does not take, as metadata, which takes any text."""
    owners = [owner for owner in spec.owners if owner not in owners_of(spec)]
    tags = {name: value for name, value in spec.tags.items() if f"drls/{name}" not in tags_of(spec)}
    named = {f"tag {name}": value for name, value in tags.items()}
    return {**({"more owners": ", ".join(owners)} if owners else {}), **named}
