"""What may happen to a table automatically: the property before the setting before the default, and production's windows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from drls_dagster.maintenance.policy import NAMES, closed_for, policy_of
from drls_dagster.maintenance_settings import MaintenanceSettings
from lifecycle.domain.environment import Environment
from lifecycle.domain.operations import OperationKind
from lifecycle.domain.table_policy import Automatic, waits_in_words

PRODUCTION, QA = Environment.PRODUCTION, Environment.QA
# In Berlin 02:00 is 03:00 on 29 March 2026, and 03:00 is 02:00 again on 25 October.
NIGHT = {
    "name": "night", "effect": "allow", "start": "2026-01-01T01:00", "duration": "90m", "rule": "FREQ=DAILY",
    "timezone": "Europe/Berlin",
}  # fmt: skip
CLOSED = {"name": "year end", "start": "2026-12-24T00:00", "duration": "2w"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def found(own: dict[str, str], **settings: Any) -> dict[str, tuple[str, str]]:
    rules = policy_of("lab.t", own, MaintenanceSettings(**settings)).rules
    by_kind = {one.operation: (one.automatic.value, one.origin) for one in rules}
    return {name: by_kind[kind] for name, kind in NAMES.items()}


def test_by_default_everything_is_reported_and_nothing_is_done() -> None:
    policy = policy_of("lab.t", {}, MaintenanceSettings())
    assert (policy.mode, policy.automatic, policy.below, policy.below_origin) == (Automatic.REPORT, (), 70, "default")
    assert set(found({}).values()) == {("report", "default")}


@pytest.mark.parametrize(
    ("own", "settings", "compact", "expire"),
    [
        ({}, {"compact": "auto"}, ("auto", "setting maintenance.compact"), ("report", "default")),
        ({}, {"mode": "auto", "expire": "off"}, ("auto", "setting maintenance.mode"),
         ("off", "setting maintenance.expire")),
        ({"compact": "auto"}, {}, ("auto", "property drls.maintenance.compact"), ("report", "default")),
        ({"compact": "report"}, {"compact": "auto"}, ("report", "property drls.maintenance.compact"),
         ("report", "default")),
        ({"mode": "auto", "expire": "off"}, {"expire": "auto"}, ("auto", "property drls.maintenance.mode"),
         ("off", "property drls.maintenance.expire")),
        ({"mode": "report"}, {"mode": "auto"}, *[("report", "property drls.maintenance.mode")] * 2),
        ({"mode": "off", "compact": "auto"}, {"expire": "auto"}, *[("off", "property drls.maintenance.mode")] * 2),
        ({"mode": "auto", "compact": "auto"}, {"mode": "off"}, *[("off", "setting maintenance.mode")] * 2),
    ],
)  # fmt: skip
def test_the_property_wins_over_the_setting_and_off_over_all(
    own: dict[str, str], settings: dict[str, Any], compact: tuple[str, str], expire: tuple[str, str]
) -> None:
    rules = found(own, **settings)
    assert (rules["compact"], rules["expire"]) == (compact, expire)


def test_orphan_files_are_removed_only_where_that_is_said_of_them() -> None:
    assert found({"mode": "auto"})["orphans"][0] == found({}, mode="auto")["orphans"][0] == "report"
    assert found({"orphans": "auto"})["orphans"][0] == found({}, orphans="auto")["orphans"][0] == "auto"


@pytest.mark.parametrize(
    ("own", "line"),
    [
        ({"compact": "yes"}, "drls.maintenance.compact is 'yes'; use off or report or auto"),
        ({"mode": ""}, "drls.maintenance.mode is ''"),
        ({"below": "101"}, "drls.maintenance.below is '101'; use a number from 0 to 100"),
        ({"below": "-1"}, "drls.maintenance.below is '-1'"),
        ({"below": "٣"}, "drls.maintenance.below"),
        ({"compaction": "auto"}, "drls.maintenance.compaction is not known; there are mode, below, compact"),
        ({"strategy": "Z"}, "drls.maintenance.strategy is 'Z'; use binpack or sort or zorder"),
        ({"strategy": "zorder"}, "name two to 8 columns in property drls.maintenance.columns"),
        ({"strategy": "zorder", "columns": "a"}, "name two to 8 columns in property drls.maintenance.columns"),
        ({"strategy": "sort", "columns": "a,,b"}, "drls.maintenance.columns is 'a,,b'; write names of columns"),
        ({"columns": "a"}, "drls.maintenance.columns is given without a strategy that orders rows"),
    ],
)
def test_a_wrong_property_is_one_line_and_nothing_is_done(own: dict[str, str], line: str) -> None:
    policy = policy_of("lab.t", {"expire": "auto", **own}, MaintenanceSettings(mode="auto", orphans="auto"))
    (wrong,) = policy.wrong
    assert line in wrong
    assert (policy.mode, policy.below) == (Automatic.REPORT, 70)


@pytest.mark.parametrize(
    ("own", "settings", "sortable", "order", "origin"),
    [
        ({}, {}, True, "binpack", "default"),
        ({}, {"strategy": "sort"}, True, "sort by the sort order of the table", "setting maintenance.strategy"),
        ({}, {"strategy": "sort"}, False, "binpack",
         "setting maintenance.strategy; the table has no sort order to sort by"),
        ({"strategy": "sort"}, {}, False, "sort by the sort order of the table", "property drls.maintenance.strategy"),
        ({"strategy": "sort", "columns": "a b, c"}, {}, False, "sort by a b, c", "property drls.maintenance.strategy"),
        ({"strategy": "binpack"}, {"strategy": "sort"}, True, "binpack", "property drls.maintenance.strategy"),
        ({"strategy": "zorder", "columns": "a,b"}, {}, True, "zorder by a, b", "property drls.maintenance.strategy"),
    ],
)  # fmt: skip
def test_a_property_or_the_sort_order_of_the_table_says_how_rows_are_ordered(
    own: dict[str, str], settings: dict[str, Any], sortable: bool, order: str, origin: str
) -> None:
    policy = policy_of("lab.t", own, MaintenanceSettings(**settings), sortable=sortable)
    assert (policy.order, policy.strategy_origin, policy.wrong) == (order, origin, ())


def test_a_wrong_property_does_not_turn_on_what_is_off() -> None:
    policy = policy_of("lab.t", {"mode": "off", "below": "x"}, MaintenanceSettings(mode="auto"))
    assert policy.mode is Automatic.OFF
    assert policy.wrong


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-06-01T22:59", "2026-06-01T23:00"),
        ("2026-06-01T23:00", None),
        ("2026-06-02T00:29", None),
        ("2026-06-02T00:30", "2026-06-02T23:00"),
        ("2026-03-29T00:10", None),  # the clock jumps to 03:00, 20 minutes before the window would end
        ("2026-10-25T00:45", "2026-10-26T00:00"),
    ],
)
def test_production_has_windows_of_its_zones_wall_clock(now: str, opens: str | None) -> None:
    closed = closed_for(PRODUCTION, MaintenanceSettings(windows=(NIGHT,)), at(now))
    assert (closed and closed.until) == (opens and at(opens))


def test_a_freeze_window_wins_and_it_is_said_when_the_next_one_opens() -> None:
    settings = MaintenanceSettings(windows=(NIGHT, CLOSED), compact="auto")
    policy = policy_of("lab.t", {}, settings, closed_for(PRODUCTION, settings, at("2026-12-24T00:10")))
    assert policy.automatic == (OperationKind.COMPACT,)
    assert waits_in_words(policy) == (
        "the freeze window 'year end' is open; the next one opens at 2027-01-07 00:00 UTC"
    )
    assert policy_of("lab.t", {}, settings.model_copy(update={"compact": None}), None).waits == ""


def test_production_needs_a_window_that_allows_it_and_the_others_need_none() -> None:
    for windows in ((), (CLOSED,)):
        settings = MaintenanceSettings(windows=windows)
        closed = closed_for(PRODUCTION, settings, at("2026-06-01T00:00"))
        assert closed is not None
        assert "set maintenance.windows" in closed.why
        for environment in set(Environment) - {PRODUCTION}:
            assert closed_for(environment, settings, at("2026-06-01T00:00")) is None
    assert policy_of("flights__qa.daily", {}, MaintenanceSettings()).environment is QA


@pytest.mark.parametrize(
    ("window", "told"),
    [
        ({"start": "soon"}, "window 2: start: "),
        ({"timezone": "Mars"}, "window 2: timezone: Value error, 'Mars' is not a time zone"),
        ({"rule": "FREQ=HOURLY"}, "a window repeats at most daily"),
        ({"until": "x"}, "window 2: until: Extra inputs"),
    ],
)
def test_a_window_that_cannot_be_read_is_named(window: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        MaintenanceSettings(windows=(NIGHT, {**NIGHT, **window}))
