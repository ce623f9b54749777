"""Lists that a store keeps are kept for exactly what was asked, and end with the next commit of anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.store.unit import View
from tests.lifecycle.life import SETUP, Life

DEVELOPMENT, QA, UAT, PRODUCTION = Environment


def freeze(life: Life, environment: Environment) -> None:
    with life.store.write(SETUP, "freeze") as unit:
        unit.policies.add_hold(HoldKind.FREEZE, environment, None, "closed", life.person("ada"))
        unit.audit("hold.set", f"environment:{environment.value}")


def ask(life: Life, question: Callable[[View], Any]) -> Any:
    with life.store.read() as view:
        return question(view)


def test_what_changes_between_two_readers_shows_at_once(life: Life) -> None:
    version = life.save()

    def everything(view: View) -> tuple[int, ...]:
        told = view.log.told(("version.saved", "hold.set"), subjects=["pipeline:flights"], before=None, limit=9)
        return (
            len(view.policies.holds()),
            len(view.pipelines.versions(version.pipeline_id)),
            len(view.deployments.of(QA)),
            len(view.lists.ids(states=tuple(State))),
            len(told),
        )

    assert ask(life, everything) == (0, 1, 0, 0, 1)
    freeze(life, PRODUCTION)
    assert ask(life, everything) == (1, 1, 0, 0, 1)
    life.to_qa(version)
    assert ask(life, everything) == (1, 1, 1, 1, 1)


def test_each_is_kept_for_what_was_asked(life: Life) -> None:
    version = life.save()
    before = life.clock.now()
    life.clock.advance(hours=1)
    life.to_qa(version)
    freeze(life, QA)
    pipeline = version.pipeline_id

    def differing(view: View) -> list[tuple[Any, Any]]:
        ids, told = view.lists.ids, view.log.told
        every = tuple(State)
        verbs = ("version.saved", "promotion.requested")
        return [
            (view.policies.holds(), view.policies.holds(UAT)),
            (view.policies.holds(), view.policies.holds(at=before)),
            (view.pipelines.versions(pipeline), view.pipelines.versions(pipeline + 1)),
            (view.pipelines.versions(pipeline), view.pipelines.versions(pipeline, below=1)),
            (view.pipelines.tables(version.id), view.pipelines.tables(version.id + 1)),
            (view.pipelines.numbers([version.id]), view.pipelines.numbers([])),
            (view.pipelines.tables_of([version.id]), view.pipelines.tables_of([])),
            (view.deployments.of(QA), view.deployments.of(UAT)),
            (view.deployments.of(QA), view.deployments.of(QA, before)),
            (view.deployments.of(QA), view.deployments.of(QA, None, pipeline + 1)),
            (ids(states=every), ids(states=(State.REJECTED,))),
            (ids(states=every), ids(states=every, target=UAT)),
            (ids(states=every), ids(states=every, pipeline_ids=[])),
            (ids(states=every), ids(states=every, text="nothing like it")),
            *(
                (
                    told(verbs, subjects=["pipeline:flights", "promotion:1"], before=None, limit=9),
                    told(given, subjects=subjects, before=at, limit=limit),
                )
                for given, subjects, at, limit in (
                    (("hold.set",), ["pipeline:flights", "promotion:1"], None, 9),
                    (verbs, ["pipeline:others"], None, 9),
                    (verbs, ["pipeline:flights", "promotion:1"], 1, 9),
                    (verbs, ["pipeline:flights", "promotion:1"], None, 1),
                )
            ),
        ]

    for asked, other in ask(life, differing):
        assert asked
        assert asked != other


def test_what_was_published_is_kept_by_time_environment_and_pipeline(life: Life) -> None:
    version = life.save()
    before = life.clock.now()
    life.clock.advance(hours=1)
    life.to_production(version)
    after = life.clock.now()
    life.clock.advance(hours=1)

    def published(view: View) -> list[int]:
        ask = view.runs.published
        one = version.pipeline_id
        asked = [((one,), PRODUCTION, at) for at in (after, before, view.now)]
        asked += [((one,), DEVELOPMENT, after), ((one + 1,), PRODUCTION, after)]
        return [len(ask(*each)) for each in asked]

    first, earlier, now, elsewhere, others = ask(life, published)
    assert first == now > 0
    assert (earlier, elsewhere, others) == (0, 0, 0)
    assert ask(life, published) == [first, earlier, now, elsewhere, others]


def test_a_list_that_was_kept_is_nobody_s_to_change(life: Life) -> None:
    life.to_qa(life.save())

    def twice(view: View) -> tuple[list[int], list[int]]:
        first = view.lists.ids(states=tuple(State))
        first.clear()
        return first, view.lists.ids(states=tuple(State))

    first, second = ask(life, twice)
    assert (first, len(second)) == ([], 1)


def test_a_writer_reads_the_hold_that_it_set(life: Life) -> None:
    with life.store.write(SETUP, "freeze") as unit:
        for number in range(2):
            assert len(unit.policies.holds()) == number
            unit.policies.add_hold(HoldKind.FREEZE, UAT, None, "closed", life.person("ada"))
        unit.audit("hold.set", "environment:uat")
