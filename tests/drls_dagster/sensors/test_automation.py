"""Where runs start by themselves."""

from __future__ import annotations

from drls_dagster.sensors import schedules_run
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.life import PRODUCTION, UAT, Life


def _running(life: Life) -> list[Environment]:
    with life.store.read() as view:
        return [one for one in Environment if schedules_run(view, one, "flights")]


def test_l4_schedules_run_in_production_only_unless_a_policy_says_so(life: Life) -> None:
    life.save()
    assert _running(life) == [PRODUCTION]
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(schedules=True))
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, "flights", Policy(schedules=False))
    assert _running(life) == [UAT]
