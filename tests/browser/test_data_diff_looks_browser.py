"""The data of a request in Chromium: it asks by itself until it is computed, and is readable everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lifecycle.audit.keys import SigningKey
from lifecycle.domain.data_diff import (
    Cell,
    ChangedRow,
    ColumnDiff,
    DataDiff,
    Duplicates,
    RowSample,
    SchemaChange,
    SnapshotShown,
    Statistics,
)
from lifecycle.store.store import Store
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.browser.conftest import accessible, fits, in_every_look, picture
from tests.fakes.clock import FakeClock
from tests.lifecycle.app.approvals.given_diff import GivenPlane, T, made
from tests.lifecycle.life import PRODUCTION, SETUP, UAT, Life

pytestmark = pytest.mark.browser


@pytest.fixture
def plane(tmp_path: Path) -> GivenPlane:
    return GivenPlane(tmp_path / "plane.db")


@pytest.fixture
def life(tmp_path: Path, plane: GivenPlane) -> Iterator[Life]:
    clock = FakeClock()
    store = Store.create(f"sqlite:///{tmp_path / 'lifecycle.db'}", SigningKey.generate(), clock)
    with store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    yield Life(store, tmp_path, clock, plane=plane)
    store.close()


def flights() -> DataDiff:
    def numbers(**values: object) -> Statistics:
        return Statistics.model_validate({"nulls": 0, **values})

    at = datetime(2025, 12, 31, 6, 15, tzinfo=UTC)
    return made(
        before=SnapshotShown(environment=PRODUCTION, snapshot=6048305733187283137, at=at, rows=336_776, files=12),
        after=SnapshotShown(environment=UAT, snapshot=1219094840982817713, at=at.replace(hour=9), rows=337_618, files=13),
        keys=("carrier", "day"), matched_by="rows are matched by carrier, day", added=842, removed=0, changed=19,
        files_read=2, files_same=11,
        schema_changes=(
            SchemaChange(kind="added", column="cancelled", after="boolean"),
            SchemaChange(kind="retyped", column="flights", before="int", after="long"),
        ),
        duplicates_before=Duplicates(), duplicates_after=Duplicates(keys=3),
        columns=(
            ColumnDiff(column="carrier", type="string", before=numbers(min="9E", max="YV", distinct=16),
                       after=numbers(min="9E", max="YV", distinct=16)),
            ColumnDiff(column="day", type="date", before=numbers(min="2013-01-01", max="2013-12-31", distinct=365),
                       after=numbers(min="2013-01-01", max="2014-01-02", distinct=367)),
            ColumnDiff(column="mean_delay", type="double", changed=19,
                       before=numbers(nulls=1120, nans=0, min="-43.0", max="1301.0", mean=12.6390732, distinct=20_115),
                       after=numbers(nulls=1187, nans=2, min="-43.0", max="1301.0", mean=12.7014311, distinct=20_230)),
            ColumnDiff(column="flights", type="long", changed=0, before=numbers(min="1", max="61", mean=22.75, distinct=61),
                       after=numbers(min="1", max="61", mean=22.7512, distinct=61)),
            ColumnDiff(column="origin", type="string", changed=0, before=numbers(min="EWR", max="LGA", distinct=3),
                       after=numbers(min="EWR", max="LGA", distinct=3)),
            ColumnDiff(column="cancelled", type="boolean", changed=0, before=None,
                       after=numbers(nulls=336_776, min="false", max="true", distinct=2)),
        ),
        sample_columns=("carrier", "day", "mean_delay", "flights", "origin", "cancelled"),
        added_rows=(
            RowSample(values=("AA", "2014-01-01", "18.25", "41", "LGA", "false")),
            RowSample(values=("UA", "2014-01-02", None, "3", "EWR", "true"), times=2),
        ),
        removed_rows=(),
        changed_rows=(
            ChangedRow(key=("B6", "2013-07-04"), cells=(
                Cell(column="mean_delay", before="31.5", after="29.0"), Cell(column="origin", before="JFK", after="LGA"))),
            ChangedRow(key=("DL", "2013-07-05"), cells=(Cell(column="mean_delay", before="7.125", after=None),)),
        ),
    )  # fmt: skip


def test_it_asks_by_itself_and_is_readable_in_light_dark_and_on_a_phone(
    browse: Callable[..., Page], life: Life, plane: GivenPlane
) -> None:
    plane.commit(T)
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    path = f"/approvals/{life.ask(version, PRODUCTION).id}/data/{T}"
    page = browse("lea")
    page.goto(path)
    expect(page.get_by_text("3 of 12 files")).to_be_visible()
    in_every_look(page, "data-diff-progress")
    plane.given = flights()
    expect(page.get_by_text("842 added")).to_be_visible()
    accessible(page)
    picture(page, "data-diff-light")
    for look in ("dark", "phone"):
        page = browse("leo", dark=look == "dark", phone=look == "phone")
        page.goto(path)
        page.get_by_text("2 columns without differences").click()
        expect(page.get_by_text("EWR").first).to_be_visible()
        accessible(page)
        picture(page, f"data-diff-{look}")
        fits(page)


def test_inside_the_request_s_page_it_follows_by_itself_too(
    browse: Callable[..., Page], life: Life, plane: GivenPlane
) -> None:
    plane.commit(T)
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    page = browse("lea")
    page.goto(f"/approvals/{life.ask(version, PRODUCTION).id}")
    table = page.locator("details.data", has_text=T)
    table.locator("summary").first.click()
    expect(table).to_contain_text("3 of 12 files")
    plane.given = flights()
    expect(table).to_contain_text("842 added")
    accessible(page)
