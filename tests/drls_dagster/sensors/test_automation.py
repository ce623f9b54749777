"""Where runs start by themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from drls_dagster.sensors import schedules_run
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.errors import Invalid
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.life import DEVELOPMENT, PRODUCTION, QA, UAT, Life


def _running(life: Life) -> list[Environment]:
    with life.store.read() as view:
        return [one for one in Environment if schedules_run(view, one, "flights")]


def test_l4_schedules_run_in_production_only_unless_a_policy_says_so(life: Life) -> None:
    life.save()
    assert _running(life) == [PRODUCTION]
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(schedules=True))
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, "flights", Policy(schedules=False))
    assert _running(life) == [UAT]


def test_a_policy_of_qa_says_what_starts_there_and_nothing_of_approvals(life: Life) -> None:
    adam = life.as_("adam")
    life.save()
    set_policy(life.ctx, adam, QA, "flights", Policy(schedules=True, on_promote="run"))
    assert _running(life) == [QA, PRODUCTION]
    set_policy(life.ctx, adam, QA, "flights", None)
    assert _running(life) == [PRODUCTION]
    with pytest.raises(Invalid, match="may set only fence, schedules, on_promote, not quorum, soak"):
        set_policy(
            life.ctx, adam, QA, None, Policy(schedules=True, quorum="2 LeadDataEngineer", soak=timedelta(days=1))
        )
    with pytest.raises(Invalid, match="policies are for QA, UAT and production"):
        set_policy(life.ctx, adam, DEVELOPMENT, None, Policy(schedules=True))
