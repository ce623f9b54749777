"""What the code of a step reports, as Dagster shows it: next to what DRLS found out itself, never in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from drls_dagster.steps.reported import Report, Reported
from lifecycle.spec import AnyTransform


def reported_checks(node: AnyTransform, report: Report, key: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    """The results of the checks that the pipeline names, for which Dagster has a place."""
    named = getattr(node, "checks", ())
    for one in report.checks:
        if one.name in named:
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=one.name,
                passed=one.passed,
                severity=dg.AssetCheckSeverity.ERROR if one.blocking else dg.AssetCheckSeverity.WARN,
                description=one.message,
                metadata={"reported by": "dbt" if node.step == "dbt" else "the command"},
            )


def report_metadata(node: AnyTransform, report: Report) -> Mapping[str, Any]:
    """The metadata under names that nothing of DRLS's own has, and the checks that the pipeline does not name."""
    named = getattr(node, "checks", ())
    found: dict[str, Any] = {f"reported/{name}": value for name, value in report.metadata.items()}
    others = [one for one in report.checks if one.name not in named]
    if others:
        shown = {one.name: f"{_outcome(one)}: {one.message}" for one in others}
        found["reported checks"] = dg.MetadataValue.json(shown)
    return found


def _outcome(one: Reported) -> str:
    return f"{'passed' if one.passed else 'failed'} ({'ERROR' if one.blocking else 'WARN'})"
