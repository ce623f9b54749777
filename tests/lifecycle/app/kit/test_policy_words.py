"""A policy in sentences."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from lifecycle.app.kit.policy_words import long, policy_words, window_words
from lifecycle.domain.policy import DEFAULT_POLICIES, Policy
from lifecycle.domain.windows import Window

LEADS = "LeadDataEngineer or Admin"
FRIDAY = datetime(2026, 1, 2, 18, 0)


def window(rule: str, hours: float = 60, **values: Any) -> str:
    given = {"name": "weekend", "start": FRIDAY, "duration": timedelta(hours=hours), "timezone": "Europe/Berlin"}
    return window_words(Window.model_validate({**given, "rule": rule, **values}))


def test_the_default_policies_in_words() -> None:
    for policy in DEFAULT_POLICIES.values():
        assert policy_words(policy) == (
            "Needs 1 LeadDataEngineer or Admin, excluding contributors and the requester.",
            "Requests expire after 7 days.",
            f"In an emergency, a {LEADS} may deploy without approval; the review is due within 2 days.",
            "Approvers are reminded every day.",
        )


def test_each_field_of_a_policy_is_said() -> None:
    """A field that is left out would let people approve under rules that they were not shown."""
    plain = Policy()
    changed: dict[str, Any] = {
        "quorum": "1 LeadDataEngineer and 2 of team:risk or 1 of person:lea",
        "approvals": "solo",
        "expires": "36h",
        "soak": "2d",
        "evidence_max_age": "90m",
        "newest_run_passed": True,
        "evidence_parameters": {"region": "eu"},
        "fence": "required",
        "verify": "digests",
        "windows": ({"name": "night", "start": FRIDAY, "duration": "12h", "rule": "FREQ=DAILY"},),
        "schedules": False,
        "on_promote": "run",
        "break_glass": None,
        "break_glass_review": "1d",
        "reminder": None,
    }
    assert changed.keys() == Policy.model_fields.keys()
    for field, value in changed.items():
        assert policy_words(Policy.model_validate({field: value})) != policy_words(plain), field
    text = " ".join(policy_words(Policy.model_validate(changed)))
    for words in (
        "1 LeadDataEngineer or Admin and 2 of team risk, or lea",
        "stays marked unreviewed",
        "expire after 36 h",
        "for 2 days",
        "at most 90 min old",
        "region = eu",
        "Frozen every day 18:00–06:00 (UTC): “night”",
        "Schedules do not run",
        "starts a run",
        "Nobody may deploy without approval",
    ):
        assert words in text
    assert "excluding" not in text
    assert "reminded" not in text


@pytest.mark.parametrize(
    ("rule", "hours", "said"),
    [
        ("FREQ=WEEKLY;BYDAY=FR", 60, "Fri 18:00–Mon 06:00"),
        ("FREQ=WEEKLY", 60, "Fri 18:00–Mon 06:00"),
        ("RRULE:FREQ=WEEKLY;INTERVAL=1;WKST=MO;BYDAY=FR", 60, "Fri 18:00–Mon 06:00"),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH", 4, "Mon–Thu 18:00–22:00"),
        ("FREQ=DAILY;BYDAY=SU,MO", 4, "Mon, Sun 18:00–22:00"),
        ("FREQ=WEEKLY;BYDAY=TU,FR", 30, "Tue 18:00–Thu 00:00 and Fri 18:00–Sun 00:00"),
        ("FREQ=WEEKLY;BYDAY=FR", 3, "Fri 18:00–21:00"),
        ("FREQ=WEEKLY;BYDAY=FR", 24 * 8, "Fri 18:00 for 8 days"),
        ("FREQ=DAILY", 24, "every day 18:00 for 1 day"),
        ("FREQ=DAILY", 30, "every day 18:00 for 30 h"),
        ("", 60, "once, 2026-01-02 18:00–2026-01-05 06:00"),
        ("FREQ=MONTHLY;BYDAY=-1FR", 6, "from 2026-01-02 18:00 for 6 h, repeated by FREQ=MONTHLY;BYDAY=-1FR"),
        ("FREQ=WEEKLY;INTERVAL=2", 6, "from 2026-01-02 18:00 for 6 h, repeated by FREQ=WEEKLY;INTERVAL=2"),
        ("FREQ=WEEKLY;BYHOUR=3", 6, "from 2026-01-02 18:00 for 6 h, repeated by FREQ=WEEKLY;BYHOUR=3"),
    ],
)
def test_a_window_is_said_exactly_or_as_it_is_written(rule: str, hours: float, said: str) -> None:
    assert window(rule, hours) == f"Frozen {said} (Europe/Berlin): “weekend”."


def test_a_window_that_allows_says_so() -> None:
    assert window("FREQ=WEEKLY", effect="allow").startswith("Promotions execute only Fri 18:00–Mon 06:00")


@pytest.mark.parametrize(
    ("seconds", "said"), [(604_800, "7 days"), (86_400, "1 day"), (129_600, "36 h"), (5_400, "90 min"), (61, "61 s")]
)
def test_a_length_of_time_is_exact(seconds: int, said: str) -> None:
    assert long(timedelta(seconds=seconds)) == said
