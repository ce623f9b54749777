"""A world with something of everything in it, so that every page has something to show and to link to."""

from __future__ import annotations

from datetime import datetime, timedelta

from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.roles import Role
from lifecycle.domain.windows import Window
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.comment_promotion import comment_promotion
from lifecycle.usecases.grants import add_team, set_member
from lifecycle.usecases.holding import set_hold
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec


def grant_on(life: Life, name: str, pipeline: str, role: Role = Role.VIEWER) -> None:
    """Somebody new with a role on one pipeline alone."""
    life.add_person(name, None)
    with life.store.write(SETUP, "setup") as unit:
        unit.people.add_grant(
            person_id=life.person(name), team_id=None, role=role.value, scope="pipeline", scope_value=pipeline,
            granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("grant.added", f"person:{name}")


def fill(life: Life) -> None:
    """Releases, requests in all states, an unreviewed release, drift, freezes, stops, a window, people."""
    grant_on(life, "pia", "flights")
    life.to_production(life.save(by="eve"), by="leo")
    life.clock.advance(days=3)
    second = life.save(make_spec(rows=2), on=1)
    done = life.to_production(second, by="adam")
    comment_promotion(life.ctx, life.as_("lea"), done.id, "Looks **right**")
    life.run(second, PRODUCTION)
    life.begin(second, PRODUCTION)
    third = life.save(make_spec(rows=3, tags={"domain": "air"}), on=2)
    life.to_qa(third)
    life.run(third, QA)
    rejected = life.ask(third, UAT)
    reject_promotion(life.ctx, life.as_("lea"), rejected.id, rejected.plan_digest, reason="Wrong limit")
    life.ask(third, UAT)
    weather = life.save(make_spec("weather", tables=("weather.hourly",)))
    break_glass(life.ctx, life.as_("lea"), "weather", weather.number, PRODUCTION, reason="The site is down")
    tickets = life.save(make_spec("tickets"))
    life.to_qa(tickets, name="tickets")
    life.save(make_spec("drafts", tables=("drafts.one",)))
    life.plane.commit("flights.late")
    reconcile(life.ctx, DAGSTER)
    set_hold(life.ctx, life.as_("leo"), HoldKind.FREEZE, UAT, None, reason="Quarter end: back on Thursday")
    set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, QA, "tickets", reason="The upstream feed is broken")
    weekend = Window(
        name="weekend", start=datetime(2026, 1, 2, 18), duration=timedelta(hours=60), rule="FREQ=WEEKLY;BYDAY=FR"
    )
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, Policy(windows=(weekend,)))
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, "weather", Policy())
    add_team(life.ctx, life.as_("adam"), "risk")
    set_member(life.ctx, life.as_("adam"), "risk", "leo", member=True)
