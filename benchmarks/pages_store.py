"""What the pages are measured on: the lifecycle's store, with years of decided requests in it, and a session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from benchmarks.lifecycle_store import LEADS, fill, open_lifecycle
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import system_actor
from lifecycle.domain.roles import Role
from lifecycle.store import tables as rows
from lifecycle.store import tables_people as rows_people
from lifecycle.usecases.tokens import issue

ASKED = 200
_WAYS = (("qa", "uat", 1), ("uat", "production", 2), ("qa", "uat", 2), ("uat", "production", 1))


def fill_pages(folder: Path, pipelines: int, versions: int, approvals: int, waiting: int) -> tuple[str, int]:
    """Fills a new store: `waiting` requests that somebody must decide, the other `approvals` decided long ago.

    The first 200 are asked for as people ask; more are copies: one per pipeline, then of other versions and into
    production, at most four per pipeline. Answers the secret of an Admin's session, and one request that waits.
    """
    waiting = min(waiting, approvals, len(_WAYS) * pipelines)
    _, asked = fill(folder, pipelines, versions, min(ASKED, waiting, pipelines))
    ctx = open_lifecycle(folder, "seed")
    try:
        with ctx.store.engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
            one = select(rows.PromotionRow.__table__).limit(1)
            old = dict(connection.execute(one).mappings().one())
            more = _waiting(old, pipelines, versions, range(len(asked), waiting))
            over = _decided(old, pipelines, versions, range(waiting, approvals))
            people = rows_people.PersonRow
            leads = list(connection.execute(select(people.id, people.email).where(people.name.in_(LEADS))))
            for table, several in (
                (rows.PromotionRow, more), (rows.PromotionRow, over), (rows.DecisionRow, _decisions(over, leads)),
            ):  # fmt: skip
                if several:
                    connection.execute(insert(table), several)
        with ctx.store.write(system_actor("bench"), "seed") as unit:
            admin = unit.people.named(LEADS[0])
            unit.people.add_grant(
                person_id=admin.id, team_id=None, role=Role.ADMIN.value, scope="everything", scope_value="",
                granted_by=None, revoked_at=None,
            )  # fmt: skip
            life = timedelta(hours=12)
            session = issue(unit, admin, TokenKind.SESSION, "bench", scopes=tuple(TokenScope), life=life)
        return session.secret, asked[-1][0]
    finally:
        ctx.store.close()


def _waiting(old: dict[str, Any], pipelines: int, versions: int, numbers: range) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number in numbers:
        turn, pipeline = divmod(number, pipelines)
        source, target, back = _WAYS[turn]
        version = versions + 1 - back
        way = {"pipeline": f"pipeline_{pipeline + 1:04d}", "version": version, "source": source, "target": target}
        found.append(
            {
                **{name: value for name, value in old.items() if name != "id"},
                "pipeline_id": pipeline + 1,
                "version_id": pipeline * versions + version,
                "target": target,
                "plan": {**old["plan"], **way},
            }
        )
    return found


def _decided(old: dict[str, Any], pipelines: int, versions: int, numbers: range) -> list[dict[str, Any]]:
    states = ("done", "done", "done", "rejected", "withdrawn", "expired", "stale")
    return [
        {
            **old,
            "id": number + 1,
            "pipeline_id": number % pipelines + 1,
            "version_id": (number % pipelines) * versions + 1,
            "state": states[number % len(states)],
            "plan": {**old["plan"], "pipeline": f"pipeline_{number % pipelines + 1:04d}", "version": 1},
            "requested_at": old["requested_at"] - timedelta(hours=number + 1),
            "finished_at": old["requested_at"] - timedelta(hours=number),
            "outcome": "" if states[number % len(states)] == "done" else "as people decided",
            "pinned": False,
        }
        for number in numbers
    ]


def _decisions(over: list[dict[str, Any]], leads: Sequence[Any]) -> list[dict[str, Any]]:
    """What some Lead said to each request that was approved or rejected."""
    verdicts = {"done": "approve", "rejected": "reject"}
    found: list[dict[str, Any]] = []
    for one in over:
        person, email = leads[one["id"] % len(leads)]
        if one["state"] in verdicts:
            found.append(
                {
                    "promotion_id": one["id"], "person": person, "identity": f"email:{email}",
                    "verdict": verdicts[one["state"]], "reason": "", "role": Role.LEAD.value, "teams": [],
                    "own_work": False, "plan_digest": one["plan_digest"], "at": one["finished_at"],
                }
            )  # fmt: skip
    return found
