"""What the pages are measured on: the lifecycle's store, with years of decided requests in it, and a session."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from benchmarks.lifecycle_store import LEADS, fill, open_lifecycle
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.environment import Role
from lifecycle.domain.people import system_actor
from lifecycle.store import tables as rows
from lifecycle.usecases.tokens import issue

WAITING = 200


def fill_pages(folder: Path, pipelines: int, versions: int, approvals: int) -> tuple[str, int]:
    """Fills a new store: WAITING requests that somebody must decide, the other `approvals` decided long ago.

    Answers the secret of an Admin's session, and one request that waits.
    """
    _, waiting = fill(folder, pipelines, versions, min(WAITING, pipelines, approvals))
    ctx = open_lifecycle(folder, "seed")
    try:
        with ctx.store.engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
            table = rows.PromotionRow.__table__
            old = dict(connection.execute(select(table).limit(1)).mappings().one())
            connection.execute(insert(rows.PromotionRow), _decided(old, pipelines, versions, approvals - len(waiting)))
        with ctx.store.write(system_actor("bench"), "seed") as unit:
            admin = unit.people.named(LEADS[0])
            unit.people.add_grant(
                person_id=admin.id, team_id=None, role=Role.ADMIN.value, scope="everything", scope_value="",
                granted_by=None, revoked_at=None,
            )  # fmt: skip
            life = timedelta(hours=12)
            session = issue(unit, admin, TokenKind.SESSION, "bench", scopes=tuple(TokenScope), life=life)
        return session.secret, waiting[-1][0]
    finally:
        ctx.store.close()


def _decided(old: dict[str, Any], pipelines: int, versions: int, count: int) -> list[dict[str, Any]]:
    states = ("done", "done", "done", "rejected", "withdrawn", "expired", "stale")
    return [
        {
            **{name: value for name, value in old.items() if name != "id"},
            "pipeline_id": number % pipelines + 1,
            "version_id": (number % pipelines) * versions + 1,
            "state": states[number % len(states)],
            "plan": {**old["plan"], "pipeline": f"pipeline_{number % pipelines + 1:04d}", "version": 1},
            "requested_at": old["requested_at"] - timedelta(hours=number + 1),
            "finished_at": old["requested_at"] - timedelta(hours=number),
            "outcome": "" if states[number % len(states)] == "done" else "as people decided",
            "pinned": False,
        }
        for number in range(count)
    ]
