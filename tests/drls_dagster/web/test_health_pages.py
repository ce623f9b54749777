"""Health and operations of tables as pages: what costs points, the plan behind each button, and following what runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape

import pytest

from drls_dagster.maintenance.port import TableMaintenance
from drls_dagster.settings import load_settings
from lifecycle.domain.operations import OperationKind
from tests.drls_dagster.maintenance.toy import KINDS
from tests.drls_dagster.web.conftest import Reader
from tests.fakes.instant_maintenance import InstantMaintenance
from tests.iceberg_tables import make_many_snapshots, make_table
from tests.lifecycle.life import Life

Read = Callable[[str], Reader]


@pytest.fixture
def life(life: Life) -> Life:
    life.ctx = replace(life.ctx, maintenance=InstantMaintenance(load_settings()))
    return life


@pytest.fixture
def lab() -> None:
    make_table("lab.small", *[{"x": [number]} for number in range(6)])
    make_many_snapshots("lab.old", 400)


def hidden(page: str) -> dict[str, str]:
    """The fields of the form that starts the operation."""
    form = page[page.index('method="post"', page.index("<main")) :].partition("</form>")[0]
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)}


@pytest.mark.usefixtures("lab")
def test_health_says_what_costs_points_and_leads_to_the_plan(read: Read) -> None:
    page = read("vic").page("/tables/lab.old/health")
    assert "What costs points" in page
    assert "/tables/lab.old/maintain?kind=expire" in page
    assert "of 100" in page
    marks = read("vic").get("/tables/health", part=True).text
    assert marks.count("hx-swap-oob") == 2


def test_a_table_shows_what_happens_to_it_automatically_and_who_says_so(read: Read) -> None:
    make_table("lab.auto", {"x": [1]}, properties={"drls.maintenance.compact": "auto"})
    make_table("lab.odd", {"x": [1]}, properties={"drls.maintenance.compact": "<b>often</b>"})
    page = read("vic").page("/tables/lab.auto/health")
    assert "property drls.maintenance.compact" in page
    assert "Waiting: production has no maintenance window" in page
    odd = read("vic").page("/tables/lab.odd/health")
    assert "Not valid, so nothing is done automatically" in odd
    assert "<b>often" not in odd
    assert "It changes nothing." in odd


@pytest.mark.usefixtures("lab")
def test_only_operations_that_are_there_have_a_button(read: Read, life: Life) -> None:
    kinds = {OperationKind.EXPIRE: KINDS[OperationKind.EXPIRE]}
    life.ctx = replace(life.ctx, maintenance=TableMaintenance(load_settings(), kinds))
    vic = read("vic")
    page = vic.page("/tables/lab.small/health")
    for kind in OperationKind:
        assert (f"maintain?kind={kind.value}" in page) == (kind in kinds), kind
        vic.page(f"/tables/lab.small/maintain?kind={kind.value}", 200 if kind in kinds else 404)


@pytest.mark.usefixtures("lab")
def test_a_plan_is_shown_to_all_and_started_by_a_lead_alone(read: Read) -> None:
    address = "/tables/lab.old/maintain?kind=expire&retain_last=5"
    vic, lea = read("vic"), read("lea")
    assert "needs the role LeadDataEngineer" in vic.page(address)
    page = lea.page(address)
    fields = hidden(page)
    assert fields["retain_last"] == "5"
    assert vic.post("/tables/lab.old/maintain", **{**fields, "csrf": ""}).status_code == 403
    refused = lea.post("/tables/lab.old/maintain", kind="expire", digest="another", retain_last="5")
    assert refused.status_code == 409
    sent = {name: value for name, value in fields.items() if name not in ("csrf", "key")}
    started = lea.post("/tables/lab.old/maintain", **sent)
    assert started.status_code == 303, started.text
    one = lea.page(started.headers["location"])
    assert "Expire snapshots" in one
    assert "lab.old" in one
    assert "lab.old" in vic.page("/operations")
    assert "<html" not in vic.get(started.headers["location"] + "/live", part=True).text


@pytest.mark.usefixtures("lab")
def test_wrong_options_are_said_next_to_the_plan(read: Read) -> None:
    lea = read("lea")
    for asked in ("retain_last=0", "retain_last=x", "days=soon"):
        page = lea.page(f"/tables/lab.old/maintain?kind=expire&{asked}", 200 if "retain" in asked else 422)
        assert 'class="told bad"' in page
    lea.page("/tables/lab.old/maintain?kind=nothing", 422)
    lea.page("/operations/999", 404)
