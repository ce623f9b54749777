"""What the code of a step says of itself: shown to people, and never evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drls_dagster.engine.command_messages import Reported
from drls_dagster.steps.spark import StepFailed


@dataclass(frozen=True)
class Report:
    """Metadata and check results."""

    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    checks: tuple[Reported, ...] = ()


class ReportedFailure(StepFailed):
    """A blocking check that was reported has failed; `report` has all that were."""

    def __init__(self, text: str, report: Report) -> None:
        super().__init__(text)
        self.report = report
