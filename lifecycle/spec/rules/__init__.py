"""The rules that a spec as a whole must keep."""

from __future__ import annotations

from lifecycle.spec.errors import Problem
from lifecycle.spec.pipeline import PipelineSpec


def validate(spec: PipelineSpec) -> tuple[Problem, ...]:
    """Everything that is wrong with a spec whose fields are right."""
    return ()
