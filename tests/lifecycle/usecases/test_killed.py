"""kill -9 after each write of each verb: doing it again loses nothing and repeats nothing (L11, L12)."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from lifecycle.audit import verify
from lifecycle.audit.keys import SigningKey
from lifecycle.store.engine import open_engine
from lifecycle.store.store import Store
from tests.fakes.clock import FakeClock
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import QA, UAT, Life
from tests.lifecycle.usecases.killed_verbs import VERBS, Act


class World:
    """A prepared folder, laid out anew for each try. One engine serves all of them: it compiles a statement once."""

    def __init__(self, folder: Path, base: Path, key: SigningKey, start: Any) -> None:
        self._folder, self._base, self._key, self._start = folder, base, key, start
        self._engine = open_engine(f"sqlite:///{folder / 'lifecycle.db'}")

    def lay_out(self) -> None:
        """As it was before anything happened; no connection is open afterwards."""
        self.close()
        shutil.copytree(self._base, self._folder)

    def enter(self) -> Life:
        clock = FakeClock(self._start)
        return Life(Store(self._engine, self._key, clock), self._folder, clock)

    def close(self) -> None:
        self._engine.dispose()
        shutil.rmtree(self._folder, ignore_errors=True)


def killed_after(world: World, act: Act, given: Any, writes: int) -> bool:
    """Runs `act` in a process that dies by SIGKILL after so many writes; False when it ended before."""
    child = os.fork()
    if child == 0:
        left = [writes]

        def wrote(*_: Any) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def statement(_c: Any, _cu: Any, text: str, *_: Any) -> None:
            if text.split(" ", 1)[0] in {"INSERT", "UPDATE", "DELETE"}:
                wrote()

        try:
            life = world.enter()
            event.listen(life.store.engine, "after_cursor_execute", statement)
            event.listen(life.store.engine, "commit", wrote)
            for name in ("move", "undo", "pin", "unpin", "open_session", "drop_columns"):
                _count(life.plane, name, wrote)
            act(life, given)
            # What follows a commit: the connection goes back, nothing is written.
            os._exit(0)
        except BaseException:  # noqa: BLE001 (the child must end here)
            import traceback

            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _count(plane: FakePlane, name: str, wrote: Callable[[], None]) -> None:
    whole = getattr(plane, name)

    def counted(*given: Any) -> Any:
        answer = whole(*given)
        wrote()
        return answer

    setattr(plane, name, counted)


def picture(life: Life) -> dict[str, Any]:
    """Everything that must come out the same, however often the verb was interrupted."""
    # What resuming says again, and what is done again because its first outcome was not seen.
    resumed = {
        "promotion.executing", "promotion.journal", "promotion.waiting", "token.issued", "token.revoked", "password.set",
        "drift.reverting",
    }  # fmt: skip
    with life.store.read() as view:
        pipeline = view.pipelines.find("flights")
        assert pipeline is not None
        assert verify(
            view.log.entries(),
            view.log.head(),
            {life.store.signing_key.key_id: life.store.signing_key.public},
        ).whole
        return {
            "deployments": [(d.environment, d.version_id, d.ended_reason, d.label) for d in view.deployments.history(pipeline.id)],
            "promotions": [(p.id, p.state, p.outcome) for p in view.promotions.list()],
            "comments": len(view.promotions.comments(1)) + len(view.promotions.comments(2)),
            "receipts": [(r.table_name, r.snapshot, r.ref) for r in view.runs.receipts()],
            "live": (view.runs.live_permits(), [a.run_id for a in view.runs.live_admissions()]),
            "people": [
                (p.name, p.disabled_at is None, p.subject, p.password_hash is None, view.people.team_names(p.id),
                 [(g.role, g.team_id) for g in view.people.grants(p.id)], [t.name for t in view.people.tokens(p.id)])
                for p in view.people.all()
            ],
            "teams": [t.name for t in view.people.teams()],
            "reviews": [(d.promotion_id, d.person, d.verdict) for p in view.promotions.list() for d in view.promotions.decisions(p.id)],
            "sessions": [(s.id, s.state) for e in (QA, UAT) for v in view.pipelines.versions(pipeline.id)
                         if (s := view.runs.newest_session(pipeline.id, e, v.id))],
            "versions": [v.digest for v in view.pipelines.versions(pipeline.id)],
            "deleted": pipeline.deleted_at is not None,
            "holds": [(h.kind, h.environment) for h in view.policies.holds()],
            "policies": len(view.policies.history(UAT, pipeline.id)),
            "drifts": [d.table_name for d in view.runs.open_drifts()],
            "events": Counter(e.verb for e in view.log.entries() if e.verb not in resumed),
            # What the log says of columns: which went, and which stayed.
            "columns": [dict(e.body) for e in view.log.entries() if e.verb == "columns.removed"],
            "refs": {(t, r): life.plane.head(t, r) for t in ("flights.daily", "flights.late") for r in ("main", "qa", "uat")},
            "tags": {t: sorted(life.plane.tags(t)) for t in ("flights.daily", "flights.late")},
        }  # fmt: skip


def without_times(shown: dict[str, Any]) -> dict[str, Any]:
    live, admissions = shown["live"]
    return {**shown, "live": ([(p.id, p.state) for p in live], admissions)}


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_kill_9_after_each_write(name: str, tmp_path: Path, sqlite_template: Path, signing_key: SigningKey) -> None:
    setup, act = VERBS[name]
    base = tmp_path / "base"
    base.mkdir()
    shutil.copy(sqlite_template, base / "lifecycle.db")
    clock = FakeClock()
    store = Store.open(f"sqlite:///{base / 'lifecycle.db'}", signing_key, clock)
    given = setup(Life(store, base, clock))
    store.close()

    world = World(tmp_path / "world", base, signing_key, clock.now())
    world.lay_out()
    whole = world.enter()
    act(whole, given)
    expected = without_times(picture(whole))

    writes, was_killed = 0, True
    while was_killed:
        writes += 1
        world.lay_out()
        was_killed = killed_after(world, act, given, writes)
        if was_killed:
            again = world.enter()
            again.clock.advance(minutes=9)
            act(again, given)
            assert without_times(picture(again)) == expected, f"killed after write {writes}"
    world.close()
    assert writes > 2
