"""The dashboard, the alerts and the page name only metrics that there are."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.types import ASGIApp

from drls_dagster.engine.state import EngineState, write_state
from drls_dagster.ledger.health import NewLook
from drls_dagster.ledger.ledger import open_ledger
from drls_dagster.processes import started_at
from drls_dagster.settings import Settings
from tests.drls_dagster.metrics.scraping import ask, scrape

ROOT = Path(__file__).parents[3]
NAME = re.compile(r"\bdrls_[a-z_]+\b")
_PARTS = re.compile(r"_(bucket|count|sum|total)$")


@pytest.fixture
def families(app: ASGIApp, settings: Settings) -> set[str]:
    """Every metric of an installation that has an engine and has looked at a table."""
    open_ledger(settings).keep_looks([NewLook("t", "m", "r", 1.7e9, {"score": 90}, {}, "")], 1e6)
    here = os.getpid()
    write_state(settings, EngineState("e", here, started_at(here), "running", "", ""))
    ask(app, "/api/pipeline-defs")
    text, found = scrape(app)
    assert found["drls_engine_up"] == {(): 1}
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}


def test_the_page_lists_every_metric(families: set[str]) -> None:
    page = (ROOT / "docs/how-to/operate.md").read_text()
    listed = {name for line in page.splitlines() if line.startswith("| `drls_") for name in NAME.findall(line)}
    assert listed == families


def test_every_alert_and_every_panel_asks_for_metrics_that_there_are(families: set[str]) -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    panels = json.loads((ROOT / "deploy/grafana/drls.json").read_text())["panels"]
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked += [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert len(asked) > 30
    known = families | {_PARTS.sub("", name) for name in families}
    for expression in asked:
        for name in NAME.findall(expression):
            assert name in known or _PARTS.sub("", name) in known, expression


def test_every_panel_takes_its_source_and_its_job_from_the_dashboard() -> None:
    panels: list[dict[str, Any]] = json.loads((ROOT / "deploy/grafana/drls.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for target in (target for panel in panels for target in panel.get("targets", [])):
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["expr"].count('job="$job"') == len(NAME.findall(target["expr"]))
