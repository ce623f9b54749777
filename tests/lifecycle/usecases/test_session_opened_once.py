"""One evidence session is opened once: who comes late wipes nothing that a quicker run has published (D9)."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.domain.run import AdmissionState, Receipt, SessionState
from lifecycle.domain.version import Version
from lifecycle.errors import Conflict, Refused
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.grant_permit import grant_permit
from lifecycle.usecases.start_run import finish_run, start_run
from tests.lifecycle.life import DAGSTER, QA, Life

DAILY = "flights.daily"


@pytest.fixture
def version(life: Life) -> Version:
    """Deployed in QA, where nothing ran yet and the branch is behind main: a session of another version was there."""
    version = life.save()
    life.plane.commit(DAILY)
    life.plane.set_ref(DAILY, "qa", life.plane.head(DAILY, "main"))
    life.plane.commit(DAILY)
    life.to_qa(version)
    for run_id in ("slow", "quick"):
        admit_run(life.ctx, DAGSTER, run_id, name="flights", digest=version.digest, environment=QA)
    return version


def whole_run(life: Life, run_id: str) -> Receipt | None:
    """Publishes one table and is over; None where it is not its turn."""
    if start_run(life.ctx, DAGSTER, run_id, "flights").waits_for:
        return None
    receipt = life.publish(life.publishing(run_id, DAILY, QA))
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    return receipt


def session_state(life: Life, version: Version) -> SessionState:
    with life.store.read() as view:
        session = view.runs.newest_session(version.pipeline_id, QA, version.id)
    assert session is not None
    return session.state


def admission_state(life: Life, version: Version, run_id: str) -> AdmissionState:
    with life.store.read() as view:
        admission = view.runs.admission(run_id, version.pipeline_id)
    assert admission is not None
    return admission.state


def in_between(life: Life, monkeypatch: pytest.MonkeyPatch, verb: str, act: Any) -> None:
    """`act` happens once, when somebody comes to that verb of the data plane and before it does anything."""
    real = getattr(life.plane, verb)
    left = [act]

    def paused(*given: Any) -> Any:
        if left:
            left.pop()()
        return real(*given)

    monkeypatch.setattr(life.plane, verb, paused)


def start_until_it_begins(life: Life, run_id: str) -> None:
    for _ in range(3):
        try:
            if not start_run(life.ctx, DAGSTER, run_id, "flights").waits_for:
                return
        except Conflict:
            continue
    raise AssertionError("it did not begin")


@pytest.mark.parametrize("verb", ["table", "open_session"])
def test_d9_a_run_that_opens_the_session_late_does_not_wipe_what_another_published(
    life: Life, monkeypatch: pytest.MonkeyPatch, version: Version, verb: str
) -> None:
    """Finding 3; failed on 0.1.0: the quick run's snapshot was gone from the branch."""
    published: list[Receipt | None] = []
    in_between(life, monkeypatch, verb, lambda: published.append(whole_run(life, "quick")))
    start_until_it_begins(life, "slow")
    if published == [None]:  # it was not let in between
        finish_run(life.ctx, DAGSTER, "slow", "flights")
        published = [whole_run(life, "quick")]
    (receipt,) = published
    assert receipt is not None
    assert life.plane.head(DAILY, "qa") == receipt.snapshot
    assert session_state(life, version) is SessionState.OPEN


@pytest.mark.parametrize("verb", ["table", "open_session"])
def test_d9_a_run_that_was_given_up_for_dead_wipes_nothing_when_it_comes_to_itself(
    life: Life, monkeypatch: pytest.MonkeyPatch, version: Version, verb: str
) -> None:
    """Finding 3; failed on 0.1.0: the branch was reset by a run that was over."""
    published: list[Receipt | None] = []

    def given_up() -> None:
        finish_run(life.ctx, DAGSTER, "slow", "flights", why="its process is gone")
        published.append(whole_run(life, "quick"))

    in_between(life, monkeypatch, verb, given_up)
    with pytest.raises((Conflict, Refused)):
        start_run(life.ctx, DAGSTER, "slow", "flights")
    (receipt,) = published
    assert receipt is not None
    assert life.plane.head(DAILY, "qa") == receipt.snapshot
    assert admission_state(life, version, "slow") is AdmissionState.FINISHED


def test_d9_a_session_that_cannot_be_opened_gives_the_turn_back(
    life: Life, monkeypatch: pytest.MonkeyPatch, version: Version
) -> None:
    def unreachable() -> None:
        raise ConnectionError("the catalog does not answer")

    in_between(life, monkeypatch, "open_session", unreachable)
    with pytest.raises(ConnectionError):
        start_run(life.ctx, DAGSTER, "slow", "flights")
    assert admission_state(life, version, "slow") is AdmissionState.QUEUED
    assert session_state(life, version) is SessionState.PENDING
    assert whole_run(life, "quick") is not None
    assert whole_run(life, "slow") is not None


def test_d9_a_run_that_died_while_it_opened_its_session_goes_on_or_is_followed(
    life: Life, monkeypatch: pytest.MonkeyPatch, version: Version
) -> None:
    class Killed(BaseException):
        """kill -9: nothing is tidied."""

    def die() -> None:
        raise Killed

    from lifecycle.usecases import start_run as module

    with monkeypatch.context() as patched:
        patched.setattr(module, "_give_turn_back", lambda *_: None)
        in_between(life, patched, "open_session", die)
        with pytest.raises(Killed):
            start_run(life.ctx, DAGSTER, "slow", "flights")
    assert admission_state(life, version, "slow") is AdmissionState.RUNNING
    assert start_run(life.ctx, DAGSTER, "quick", "flights").waits_for == "slow"
    with pytest.raises(Refused, match="has not started"):
        grant_permit(life.ctx, DAGSTER, life.publishing("slow", DAILY, QA))
    start_run(life.ctx, DAGSTER, "slow", "flights")
    assert session_state(life, version) is SessionState.OPEN
    assert life.publish(life.publishing("slow", DAILY, QA))
