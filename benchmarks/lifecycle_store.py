"""A lifecycle store as a team has it after years: filled through its own tables, for use cases would take an hour."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from lifecycle.audit.keys import load_signing_key
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.data_diff import DataDiff, DiffLimits, RowKey, Side, Watch
from lifecycle.domain.environment import Environment
from lifecycle.domain.facts import SnapshotFacts, TableFacts
from lifecycle.domain.people import Actor, WayIn, system_actor
from lifecycle.domain.plan import PositionPlan
from lifecycle.domain.roles import Role
from lifecycle.domain.run import CheckResult, InputRead, Outcome, Work
from lifecycle.domain.seal import Altered, Digests, SealedFile, SealedFiles
from lifecycle.ports import DataPlane, Move, MoveResult, Orchestrator, ReleaseFacts, RunState, SystemClock
from lifecycle.spec import PipelineSpec, canonical_json
from lifecycle.store import tables as rows
from lifecycle.store.store import Store
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.usecases.set_policy import write_default_policies
from lifecycle.usecases.tokens import issue

DEVELOPMENT, QA, UAT, PRODUCTION = Environment
ENGINEER, LEADS = "engineer", tuple(f"lead{number}" for number in range(8))
_BASE, _CANDIDATE = 1, 2
_MARK = 424242
_STARTED = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


class StillPlane(DataPlane):
    """Every table ran once in QA. It answers at once: what a catalog takes is no cost of the lifecycle."""

    def table(self, table: str, environment: Environment) -> TableFacts:
        head = _BASE if environment in (UAT, PRODUCTION) else _CANDIDATE
        return TableFacts(table=table, uuid=f"uuid-of-{table}", head=head)

    def snapshots(
        self, table: str, environment: Environment, head: int | None, until: int | None
    ) -> Sequence[SnapshotFacts]:
        chain = (SnapshotFacts(id=_CANDIDATE, parent=_BASE, operation="append"),)
        return chain if (head, until) == (_CANDIDATE, _BASE) else ()

    def is_on_main(self, table: str, snapshot: int) -> bool:
        return True

    def metadata_changes(self, spec: str, environment: Environment) -> Mapping[str, Sequence[str]]:
        return {}

    def fingerprints(self, spec: str, environment: Environment) -> Mapping[str, str]:
        return {}

    def positions(self, spec: str, source: Environment, target: Environment) -> Sequence[PositionPlan]:
        return ()

    def open_session(
        self, environment: Environment, tables: Sequence[str], seen: Mapping[str, TableFacts] | None = None
    ) -> Mapping[str, int | None]:
        return dict.fromkeys(tables, _BASE)

    def pin(self, table: str, environment: Environment, snapshot: int, tag: str) -> None:
        return

    def unpin(self, table: str, environment: Environment, tag: str) -> None:
        return

    def move(self, move: Move, environment: Environment) -> MoveResult:
        return MoveResult.MOVED

    def drop_columns(self, table: str, columns: Sequence[str]) -> Sequence[str]:
        return columns

    def undo(self, move: Move, environment: Environment) -> bool:
        return True

    def compare(
        self, table: str, before: Side, after: Side, keys: Sequence[RowKey], limits: DiffLimits, watch: Watch
    ) -> DataDiff:
        raise NotImplementedError("nobody looks at the data here")

    def differing(self, table: str, environment: Environment, before: int, after: int) -> Sequence[str]:
        return ()

    def seal(self, table: str, environment: Environment, base: int | None, candidate: int) -> SealedFiles:
        return SealedFiles(())

    def sealed_now(self, table: str, environment: Environment, file: SealedFile) -> SealedFiles:
        return SealedFiles((file,))

    def begin_sealing(self, table: str, environment: Environment, base: int | None, candidate: int) -> None:
        return

    def altered(
        self, table: str, environment: Environment, sealed: Sequence[SealedFiles], digests: Digests, **_: object
    ) -> Sequence[Altered]:
        return ()


class Nobody(Orchestrator):
    """Nobody listens."""

    def run_state(self, run_id: str) -> RunState:
        return RunState.ENDED

    def run_outcome(self, run_id: str) -> Outcome | None:
        return None

    def deployments_changed(self, environment: Environment) -> None:
        return

    def launch(self, environment: Environment, pipeline: str, reason: str) -> None:
        return

    def released(
        self, environment: Environment, pipeline: str, tables: Mapping[str, int], release: ReleaseFacts
    ) -> None:
        return


def open_lifecycle(folder: Path, executor: str) -> Context:
    """The store in `folder`, made if it is not there."""
    key = load_signing_key(folder / "signing-key.pem")
    store = Store.create(f"sqlite:///{folder / 'lifecycle.db'}", key, SystemClock())
    return Context(store, StillPlane(), Nobody(), SystemClock(), executor)


def fill(
    folder: Path, pipelines: int, versions: int, requests: int, *, on_new_data: bool = False
) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """Fills a new store. Tokens by person, and the requests into UAT that wait: number and plan digest.

    `on_new_data`: every pipeline reads a table of its own, whose news start it.
    """
    folder.mkdir(parents=True)
    ctx = open_lifecycle(folder, "seed")
    try:
        tokens, people = _people(ctx)
        _versions(ctx, pipelines, versions, people[ENGINEER], _template(on_new_data))
        actor = Actor(person=people[ENGINEER], name=ENGINEER, way_in=WayIn.CLI)
        asked = [
            request_promotion(ctx, actor, _name(number), versions, UAT)
            for number in range(1, min(requests, pipelines) + 1)
        ]
        return tokens, [(one.id, one.plan_digest) for one in asked]
    finally:
        ctx.store.close()


def spec_text(name: str, version: int, template: str | None = None) -> tuple[str, str]:
    """The canonical text of a version, and its digest."""
    text = (template or _template()).replace("pipeline_name", name).replace(str(_MARK), str(version))
    return text, "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _name(number: int) -> str:
    return f"pipeline_{number:04d}"


@cache
def _template(on_new_data: bool = False) -> str:
    """Five nodes and their SQL; the canonical form stays canonical when names and numbers in it change."""
    columns = ", ".join(f"avg(delay_{number}) AS delay_{number}" for number in range(12))
    sql = f"SELECT carrier, origin, {columns} FROM clean WHERE minutes < {_MARK} GROUP BY carrier, origin"
    source = "pipeline_name.raw" if on_new_data else "raw.flights"
    check = {"kind": "row_count", "min": 1, "name": "some"}
    nodes: list[dict[str, Any]] = [
        {"id": "raw", "type": "source", "source": {"kind": "iceberg", "table": source}},
        {"id": "clean", "type": "transform", "step": "spark", "sql": "SELECT * FROM raw WHERE tail IS NOT NULL"},
        {"id": "daily", "type": "transform", "step": "spark", "sql": sql},
        {"id": "target", "type": "sink", "table": "pipeline_name.daily", "mode": "overwrite"},
        {"id": "checks", "type": "monitor", "checks": [check]},
    ]
    flow = ("raw", "clean", "daily", "target", "checks")
    edges = [{"from": a, "to": b} for a, b in pairwise(flow)]
    data: dict[str, Any] = {"format_version": 1, "name": "pipeline_name", "nodes": nodes, "edges": edges}
    if on_new_data:
        data["automation"] = "on_new_data"
    return canonical_json(PipelineSpec.model_validate(data)).decode()


def _people(ctx: Context) -> tuple[dict[str, str], dict[str, int]]:
    tokens: dict[str, str] = {}
    people: dict[str, int] = {}
    with ctx.store.write(system_actor("bench"), "seed") as unit:
        write_default_policies(unit)
        rotate_secret(unit)
        for name in (ENGINEER, *LEADS):
            person = unit.people.add(
                name=name, kind="human", display_name=name, email=f"{name}@example.org", email_verified=True,
                password_hash=None, subject=None, acts_for=None, disabled_at=None,
            )  # fmt: skip
            role = Role.DATA_ENGINEER if name == ENGINEER else Role.LEAD
            unit.people.add_grant(
                person_id=person.id, team_id=None, role=role.value, scope="everything", scope_value="",
                granted_by=None, revoked_at=None,
            )  # fmt: skip
            everything = tuple(TokenScope)
            issued = issue(unit, person, TokenKind.PERSONAL, "bench", scopes=everything, life=timedelta(days=1))
            tokens[name], people[name] = issued.secret, person.id
    return tokens, people


def _versions(ctx: Context, pipelines: int, versions: int, engineer: int, template: str) -> None:
    """Each pipeline: its newest version in development and QA, where it ran; older ones in UAT and production."""
    with ctx.store.engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        for number in range(1, pipelines + 1):
            for table, values in _pipeline(number, versions, engineer, template):
                connection.execute(insert(table), values)


def _pipeline(number: int, versions: int, engineer: int, template: str) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    name = _name(number)
    first = (number - 1) * versions + 1
    ids = range(first, first + versions)
    at = [_STARTED + timedelta(hours=position) for position in range(versions)]
    texts = [spec_text(name, one, template) for one in range(1, versions + 1)]
    newest, tables = ids[-1], [f"{name}.daily"]
    yield rows.PipelineRow, [{"id": number, "name": name, "created_at": _STARTED, "created_by": engineer}]
    yield rows.VersionRow, [
        {
            "id": ids[i], "pipeline_id": number, "number": i + 1, "digest": texts[i][1], "spec": texts[i][0],
            "parent_id": ids[i - 1] if i else None, "message": f"change {i + 1}", "origin": {"kind": "saved"},
            "author": engineer, "acted_for": None, "created_at": at[i],
        }
        for i in range(versions)
    ]  # fmt: skip
    yield rows.SavedRow, [
        {
            "version_id": ids[i], "parent_id": ids[i - 1] if i else None, "person": engineer, "acted_for": None,
            "at": at[i],
        }
        for i in range(versions)
    ]  # fmt: skip
    yield rows.SinkTableRow, [{"version_id": one, "name": table} for one in ids for table in tables]
    deployed = [(DEVELOPMENT, i, i == versions - 1) for i in range(versions)]
    deployed += [(QA, i, i == versions - 1) for i in range(max(0, versions - 5), versions)]
    deployed += [(UAT, versions - 2, True), (PRODUCTION, versions - 3, True)] if versions > 2 else []
    yield rows.DeploymentRow, [
        {
            "environment": where.value, "pipeline_id": number, "version_id": ids[i], "reason": "promote",
            "label": "approved" if where.governed else "free", "promotion_id": None, "deployed_digest": texts[i][1],
            "started_at": at[i], "started_by": engineer, "ended_at": None if active else at[i + 1],
            "ended_reason": None if active else "superseded",
        }
        for where, i, active in deployed
    ]  # fmt: skip
    yield rows.SessionRow, [
        {
            "id": number, "environment": QA.value, "pipeline_id": number, "version_id": newest, "state": "open",
            "bases": {table: str(_BASE) for table in tables}, "created_at": at[-1], "opened_at": at[-1],
            "closed_at": None,
        }
    ]  # fmt: skip
    run = f"run-{number}"
    yield rows.AdmissionRow, [
        {
            "run_id": run, "root_run_id": run, "environment": QA.value, "pipeline_id": number, "version_id": newest,
            "session_id": number, "state": "finished", "parameters": {}, "way_in": "dagster", "admitted_by": None,
            "admitted_at": at[-1], "ended_at": at[-1], "why": "",
        }
    ]  # fmt: skip
    work = Work(
        checks=(CheckResult(node="checks", check="some", passed=True),),
        inputs=(InputRead(node="raw", name="raw.flights", snapshot=_BASE),),
        rows=1000,
    )
    # Lately: evidence has a greatest age.
    now = datetime.now(UTC)
    yield rows.ReceiptRow, [
        {
            "permit_id": None, "promotion_id": None, "run_id": run, "root_run_id": run, "environment": QA.value,
            "pipeline_id": number, "version_id": newest, "session_id": number, "step": "target", "partition": "",
            "table_name": table, "ref": QA.ref, "base": _BASE, "snapshot": _CANDIDATE,
            "details": work.model_dump(mode="json"), "at": now,
        }
        for table in tables
    ]  # fmt: skip
