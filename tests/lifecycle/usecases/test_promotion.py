"""The way of a version from development to production (L1, L3, L4, L5, L8, L12)."""

from __future__ import annotations

import pytest

from lifecycle.domain.environment import Environment
from lifecycle.domain.plan import Carry
from lifecycle.domain.promotion import State
from lifecycle.domain.version import Label
from lifecycle.errors import Conflict, Refused
from lifecycle.usecases.demote_version import demote_version
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.refresh_promotion import refresh_promotion
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.withdraw_promotion import withdraw_promotion
from tests.lifecycle.life import PRODUCTION, QA, UAT, Life, make_spec


def test_the_whole_way_carries_exactly_what_was_approved(life: Life) -> None:
    version = life.save()
    done = life.to_production(version)
    assert done.state is State.DONE
    assert done.plan.carry is Carry.SNAPSHOT
    for table in done.plan.tables:
        assert life.plane.head(table.table, "main") == table.candidate
        assert life.plane.tags(table.table) == {f"drls-release-{done.id}": table.candidate}
    active = life.active(PRODUCTION)
    assert active is not None
    assert (active.label, active.deployed_digest) == (Label.APPROVED, done.plan.spec_digest)


def test_l1_saving_equal_content_is_the_same_version_and_active_again(life: Life) -> None:
    first = life.save()
    life.save(make_spec(rows=2))
    again = life.save(by="eve")
    assert again == first
    assert life.active_number(Environment.DEVELOPMENT) == 1


def test_l1_promotion_leaves_the_source_environment_as_it_is(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    assert [life.active_number(one) for one in Environment] == [1, 1, 1, None]


def test_l1_demote_restores_qa_only_if_it_is_free(life: Life) -> None:
    first = life.save()
    life.to_uat(first)
    second = life.save(make_spec(rows=2))
    life.to_qa(second)
    demote_version(life.ctx, life.as_("lea"), "flights", 1, reason="wrong numbers")
    assert [life.active_number(one) for one in (QA, UAT)] == [2, None]


def test_l1_superseding_closes_the_open_requests_of_the_version(life: Life) -> None:
    first = life.save()
    life.to_qa(first)
    life.run(first, QA)
    asked = life.ask(first, UAT)
    life.to_qa(life.save(make_spec(rows=2)))
    after = life.promotion(asked.id)
    assert (after.state, after.outcome) == (State.WITHDRAWN, "superseded by v2 in QA")


def test_l5_without_a_run_there_is_no_evidence(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    with pytest.raises(Refused, match="nothing has run in QA yet"):
        life.ask(version, UAT)


def test_l5_evidence_covers_every_sink(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.plane.commit("flights_raw.flights")
    run_id = life.begin(version, QA)
    life.publish(life.publishing(run_id, "flights.daily", QA))
    with pytest.raises(Refused, match=r"flights\.late: nothing was published"):
        life.ask(version, UAT)


def test_l5_a_foreign_write_voids_the_evidence(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    foreign = life.plane.commit("flights.daily", "qa")
    with pytest.raises(Refused, match=f"snapshot {foreign} was not written by this version"):
        life.ask(version, UAT)


def test_l4_an_input_off_main_is_carried_as_code_with_the_reason(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    life.plane.publish("flights_raw.flights", "main", life.plane.head("flights_raw.flights", "main"),
                       life.plane.write("flights_raw.flights", None))  # fmt: skip
    plan = plan_promotion(life.ctx, life.as_("ada"), "flights", 1, PRODUCTION).plan
    assert plan.carry is Carry.CODE
    assert "which is not on its main" in plan.carry_reason
    assert [(table.base, table.candidate) for table in plan.tables] == [(None, None)] * 2


def test_l4_a_schedule_that_writes_before_expiry_means_code(life: Life) -> None:
    scheduled = make_spec(schedule={"cron": "0 6 * * *"})
    life.to_production(life.save(scheduled))
    second = life.save(make_spec(rows=2))
    life.to_uat(second)
    life.run(second, UAT)
    plan = plan_promotion(life.ctx, life.as_("ada"), "flights", 2, PRODUCTION).plan
    assert plan.carry is Carry.CODE
    assert "before the request expires" in plan.carry_reason


def test_l3_newer_uat_runs_do_not_make_it_stale(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)
    life.run(version, UAT)
    done = life.approve(asked)
    assert done.state is State.DONE
    assert life.plane.head("flights.daily", "main") == asked.plan.tables[0].candidate


def test_l3_maintenance_of_main_is_not_stale(life: Life) -> None:
    life.plane.commit("flights.daily")
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)
    life.compact("flights.daily")
    assert life.approve(asked).state is State.DONE


def test_l3_a_write_to_main_makes_it_stale_and_names_the_field(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)
    life.plane.commit("flights.daily")
    stale = life.approve(asked)
    assert stale.state is State.STALE
    assert stale.outcome.startswith("tables[flights.daily].base")
    assert life.active(PRODUCTION) is None


def test_l8_a_refreshed_request_starts_without_approvals(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)
    life.plane.commit("flights.daily")
    life.approve(asked)
    fresh = refresh_promotion(life.ctx, life.as_("ada"), asked.id)
    assert (fresh.refresh_of, fresh.state) == (asked.id, State.REQUESTED)
    with life.store.read() as view:
        assert view.promotions.decisions(fresh.id) == ()


def test_l8_one_denial_blocks_even_with_quorum(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)
    rejected = reject_promotion(
        life.ctx, life.as_("leo"), asked.id, asked.plan_digest, reason="the delays are negative"
    )
    assert (rejected.state, rejected.outcome) == (State.REJECTED, "leo: the delays are negative")
    with pytest.raises(Conflict, match="rejected"):
        life.approve(asked)


def test_l8_withdrawn_requests_take_no_approval(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)
    withdraw_promotion(life.ctx, life.as_("ada"), asked.id)
    with pytest.raises(Conflict, match="withdrawn"):
        life.approve(asked)


def test_l12_an_unreachable_catalog_leaves_a_request_that_resumes(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    life.plane.say("unreachable", True)
    failed = life.approve(life.ask(version, PRODUCTION))
    assert failed.state is State.FAILED
    assert "does not answer" in failed.outcome
    with pytest.raises(Conflict, match="resume"):
        demote_version(life.ctx, life.as_("lea"), "flights", 1, reason="no")
    life.plane.say("unreachable", False)
    done = execute_promotion(life.ctx, life.as_("ada"), failed.id).promotion
    assert done.state is State.DONE


def test_l12_a_table_that_moves_during_execution_undoes_the_others(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    life.plane.say("unreachable", True)
    failed = life.approve(life.ask(version, PRODUCTION))
    life.plane.say("unreachable", False)
    life.plane.commit("flights.late")
    stale = execute_promotion(life.ctx, life.as_("ada"), failed.id).promotion
    assert stale.state is State.STALE
    assert "tables[flights.late].base" in stale.outcome
    assert life.plane.head("flights.daily", "main") is None
    assert life.active(PRODUCTION) is None


def test_a_second_request_for_the_same_is_refused(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.ask(version, UAT)
    with pytest.raises(Conflict, match="asks for the same"):
        life.ask(version, UAT)


def test_a_keyed_request_is_made_once(life: Life) -> None:
    from lifecycle.usecases.request_promotion import request_promotion

    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asks = [request_promotion(life.ctx, life.as_("ada"), "flights", version.number, UAT, key="k") for _ in range(2)]
    assert asks[0] == asks[1]


def test_d11_a_table_has_one_writing_pipeline(life: Life) -> None:
    life.save()
    with pytest.raises(Refused, match=r"flights\.daily is already written by pipeline flights"):
        life.save(make_spec("other", tables=("flights.daily",)))


def test_a4_who_approved_and_who_executed_are_two_actors_in_the_audit_log(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)
    assert life.approve(asked, by="lea").state is State.DONE
    with life.store.read() as view:
        entries = view.log.search(subject=f"promotion:{asked.id}")
    actors = {entry.verb: entry.actor for entry in entries}
    assert actors["promotion.approved_by"]["person"] == life.person("lea")
    assert actors["promotion.approved"]["name"] == "lea"
    assert "person" not in actors["promotion.executing"]
    assert actors["promotion.executing"]["name"] == actors["promotion.done"]["name"] == "executor for lea"


def test_l8_an_approval_stands_when_another_execution_is_in_its_way(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    failed = life.ask(version, PRODUCTION)
    life.plane.say("unreachable", True)
    assert life.approve(failed, by="lea").state is State.FAILED
    life.plane.say("unreachable", False)
    second = life.save(make_spec(rows=2))
    life.to_qa(second)
    life.run(second, QA)
    waiting = life.ask(second, UAT)
    approved = life.approve(waiting, by="lea")
    assert f"request {failed.id} (flights to production) is failed: wait for it" in approved.waiting
    assert life.promotion(waiting.id).state is State.APPROVED
    with life.store.read() as view:
        assert [one.person for one in view.promotions.decisions(waiting.id)] == [life.person("lea")]
