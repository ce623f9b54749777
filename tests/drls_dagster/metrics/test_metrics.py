"""/metrics: who may read it, what it says, and what it never says."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.types import ASGIApp

from drls_dagster.errors import DrlsError
from drls_dagster.ledger.health import NewLook
from drls_dagster.ledger.ledger import open_ledger
from drls_dagster.metrics.door import metrics_token, with_metrics
from drls_dagster.metrics.shared import counting_folder
from drls_dagster.settings import Settings, load_settings
from tests.drls_dagster.metrics.scraping import TOKEN, ask, of, scrape
from tests.lifecycle.app.sites import site_of
from tests.lifecycle.life import QA, UAT, Life


def test_without_a_token_in_the_settings_there_is_no_page(life: Life, settings: Settings) -> None:
    site = site_of(life.ctx)
    assert metrics_token(settings) is None
    assert with_metrics(site, None, settings, life.store, 0, None) is site
    assert ask(site, "/metrics").status_code == 404


@pytest.mark.parametrize("token", ["", "another-token-of-some-letters", f"{TOKEN}x", TOKEN[:-1]])
def test_who_does_not_show_the_token_reads_nothing(app: ASGIApp, token: str) -> None:
    answer = ask(app, "/metrics", token=token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "drls_" not in answer.text
    assert ask(app, "/metrics", token=TOKEN, method="POST").status_code == 405


def test_a_token_that_is_easy_to_guess_is_refused(drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_METRICS__TOKEN", "env:SCRAPE")
    monkeypatch.setenv("SCRAPE", "short")
    with pytest.raises(DrlsError, match="needs 20 letters or digits") as refused:
        metrics_token(load_settings(drls_home))
    assert "short" not in refused.value.message


def test_a_page_that_was_made_to_lead_here_learns_nothing_and_prometheus_needs_no_host_name(app: ASGIApp) -> None:
    assert ask(app, "/metrics", token=TOKEN, host="10.0.0.7:3000").status_code == 200
    assert ask(app, "/metrics", host="evil.example").status_code == 401


def test_requests_count_by_the_templates_of_routes_never_by_paths(app: ASGIApp) -> None:
    for name in ("secret-merger", "salaries"):
        ask(app, f"/api/pipeline-defs/{name}")
        ask(app, f"/{name}")
        ask(app, f"/dagster/runs/{name}")
    ask(app, "/api/health", method="BREW")
    text, found = scrape(app)
    counted = found["drls_http_requests_total"]
    assert counted[of(route="/api/pipeline-defs/{name}", method="GET", status="401")] == 2
    assert counted[of(route="unknown", method="GET", status="404")] == 2
    assert counted[of(route="/dagster", method="GET", status="404")] == 2
    assert counted[of(route="/api/health", method="unknown", status="405")] == 1
    assert found["drls_http_refusals_total"] == {of(code="unauthorized"): 2}
    took = found["drls_http_request_duration_seconds_count"]
    assert took[of(route="/api/pipeline-defs/{name}", method="GET")] == 2
    assert "secret-merger" not in text
    assert "salaries" not in text


def test_what_happens_in_the_lifecycle_is_counted_and_nobody_is_named(app: ASGIApp, life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.begin(version, QA)
    asked = life.ask(version, UAT)
    life.clock.advance(minutes=2)
    text, found = scrape(app)
    assert found["drls_store_up"] == {(): 1}
    assert found["drls_requests"][of(state="requested", environment="uat")] == 1
    assert found["drls_request_oldest_seconds"][of(state="requested", environment="uat")] == pytest.approx(120, abs=1)
    assert found["drls_runs"][of(state="running", environment="qa")] == 1
    assert found["drls_audit_entries_total"][of(verb="receipt.written")] == 2
    assert found["drls_decisions_total"] == {of(verdict="approve"): 0, of(verdict="reject"): 0}
    life.approve(asked)
    # Asked twice, it is counted once.
    scrape(app)
    _, found = scrape(app)
    assert found["drls_decisions_total"][of(verdict="approve")] == 1
    assert found["drls_requests"][of(state="requested", environment="uat")] == 0
    for name in ("ada", "lea", "flights", "daily", "example.org", "test-run"):
        assert name not in text


def test_tables_are_counted_by_their_health(app: ASGIApp, settings: Settings) -> None:
    looks = [NewLook(f"t{score}", "m", "r", 1.7e9, {"score": score}, {}, "") for score in (100, 80, 50, 7)]
    open_ledger(settings).keep_looks(looks, 1e6)
    _, found = scrape(app)
    assert found["drls_tables"] == {of(health="healthy"): 2, of(health="fair"): 1, of(health="poor"): 1}
    assert found["drls_table_health_lowest"] == {(): 7}


def test_a_store_that_does_not_answer_counts_as_down_and_requests_are_still_counted(
    app: ASGIApp, life: Life, drls_home: Path
) -> None:
    ask(app, "/api/health")
    life.store.close()
    for file in drls_home.glob("lifecycle.db*"):
        file.unlink()
    (drls_home / "lifecycle.db").mkdir()
    _, found = scrape(app)
    assert found["drls_store_up"] == {(): 0}
    assert found["drls_ledger_up"] == {(): 1}
    assert "drls_requests" not in found
    assert found["drls_http_requests_total"][of(route="/api/health", method="GET", status="200")] == 1


def test_the_folder_of_a_server_is_private_and_those_of_killed_ones_go(settings: Settings) -> None:
    left = settings.home / "metrics" / "999999999-1"
    left.mkdir(parents=True)
    (left / "counter_1.db").touch()
    with counting_folder(settings) as mine:
        assert mine.stat().st_mode & 0o077 == 0
        assert list((settings.home / "metrics").iterdir()) == [mine]
        with pytest.raises(FileExistsError), counting_folder(settings):
            pass
    assert list((settings.home / "metrics").iterdir()) == []
