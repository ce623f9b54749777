"""One pipeline of a run."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.domain.environment import Environment


@dataclass(frozen=True)
class Part:
    """The steps of one pipeline in a run, and the version that they were built from."""

    pipeline: str
    digest: str
    environment: Environment
