"""A small world to test the lifecycle in: people, one pipeline, and runs as the gate would drive them."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any, cast

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, WayIn, system_actor
from lifecycle.domain.promotion import Answered, Promotion, State
from lifecycle.domain.roles import Role
from lifecycle.domain.run import CheckResult, InputRead, Receipt, Work
from lifecycle.domain.version import Deployment, Version
from lifecycle.ports import DataPlane, Orchestrator, RunState
from lifecycle.spec import PipelineSpec
from lifecycle.store.store import Store
from lifecycle.usecases.accounts import end_sessions
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.context import Context
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.grant_permit import Publish, grant_permit, record_receipt
from lifecycle.usecases.parts.receipts import write_maintenance_receipt
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.usecases.save_version import save_version
from lifecycle.usecases.set_policy import write_default_policies
from lifecycle.usecases.start_run import finish_run, start_run
from tests.fakes.apart import Apart, watch
from tests.fakes.clock import FakeClock
from tests.fakes.orchestrator import FakeOrchestrator
from tests.fakes.passwords import CHEAP
from tests.fakes.plane import FakePlane

DEVELOPMENT, QA, UAT, PRODUCTION = Environment
DAGSTER = system_actor("run worker", WayIn.DAGSTER)
SETUP = system_actor("setup")


def make_spec(name: str = "flights", rows: int = 1, **changes: Any) -> PipelineSpec:
    """Source → transform → two sinks, each with a blocking check; `rows` makes another version."""
    tables = changes.pop("tables", (f"{name}.daily", f"{name}.late"))
    nodes: list[dict[str, Any]] = [
        {"id": "raw", "type": "source", "source": {"kind": "iceberg", "table": f"{name}_raw.flights"}},
        {"id": "delays", "type": "transform", "step": "spark", "sql": f"SELECT * FROM raw LIMIT {rows}"},
    ]
    edges = [{"from": "raw", "to": "delays"}]
    for number, table in enumerate(tables):
        nodes.append({"id": f"sink{number}", "type": "sink", "table": table, "mode": "overwrite"})
        check = {"kind": "row_count", "min": 1, "name": "some"}
        nodes.append({"id": f"checks{number}", "type": "monitor", "checks": [check]})
        edges += [
            {"from": "delays", "to": f"sink{number}"},
            {"from": f"sink{number}", "to": f"checks{number}"},
        ]
    data = {"format_version": 1, "name": name, "nodes": nodes, "edges": edges, **changes}
    return PipelineSpec.model_validate(data)


class Life:
    """Ada and Eve are engineers, Lea and Leo leads, Adam an admin, Vic a viewer, Bot a service for Ada."""

    def __init__(
        self, store: Store, folder: Path, clock: FakeClock, executor: str = "test", plane: FakePlane | None = None
    ) -> None:
        self.store = store
        self.clock = clock
        self.plane = plane or FakePlane(folder / "plane.db")
        self.dagster = FakeOrchestrator()
        watch(store)
        plane, dagster = Apart(self.plane, DataPlane), Apart(self.dagster, Orchestrator)
        self.ctx = Context(store, cast(DataPlane, plane), cast(Orchestrator, dagster), clock, executor, passwords=CHEAP)
        self._runs = count(1)
        self._people: dict[str, int] = {}
        with store.read() as view:
            self._people = {person.name: person.id for person in view.people.all()}
        if not self._people:
            self._begin()

    def _begin(self) -> None:
        with self.store.write(SETUP, "setup") as unit:
            write_default_policies(unit)
            unit.audit("setup", "installation:1")
        for name, role in {
            "ada": Role.DATA_ENGINEER, "eve": Role.DATA_ENGINEER, "lea": Role.LEAD, "leo": Role.LEAD,
            "adam": Role.ADMIN, "vic": Role.VIEWER,
        }.items():  # fmt: skip
            self.add_person(name, role)
        self.add_person("bot", Role.LEAD, kind="service", acts_for=self._people["ada"])

    def add_person(self, name: str, role: Role | None, **values: Any) -> Actor:
        defaults: dict[str, Any] = {
            "kind": "human", "display_name": name.title(), "email": f"{name}@example.org", "email_verified": True,
            "password_hash": None, "subject": None, "acts_for": None, "disabled_at": None,
        }  # fmt: skip
        with self.store.write(SETUP, "setup") as unit:
            person = unit.people.add(name=name, **{**defaults, **values})
            if role is not None:
                unit.people.add_grant(
                    person_id=person.id, team_id=None, role=role.value, scope="everything", scope_value="",
                    granted_by=None, revoked_at=None,
                )  # fmt: skip
            unit.audit("person.added", f"person:{name}")
        self._people[name] = person.id
        return self.as_(name)

    def give_password(self, name: str, password: str) -> None:
        """As an Admin would; also for the Admin."""
        with self.store.write(SETUP, "setup") as unit:
            end_sessions(unit, unit.people.change(self._people[name], password_hash=self.ctx.passwords.hash(password)))
            unit.audit("password.set", f"person:{name}")

    def as_(self, name: str) -> Actor:
        return Actor(person=self._people[name], name=name, way_in=WayIn.CLI, host="laptop")

    def person(self, name: str) -> int:
        return self._people[name]

    def save(self, spec: PipelineSpec | None = None, by: str = "ada", **options: Any) -> Version:
        return save_version(self.ctx, self.as_(by), spec or make_spec(), **options)

    def active(self, environment: Environment, name: str = "flights") -> Deployment | None:
        with self.store.read() as view:
            return view.deployments.active(view.pipelines.named(name).id, environment)

    def forget(self) -> None:
        """The store changes, so that nothing of what was found in it is still known."""
        with self.store.write(SETUP, "forget") as unit:
            unit.audit("forget", "installation:1")

    def active_number(self, environment: Environment, name: str = "flights") -> int | None:
        deployment = self.active(environment, name)
        with self.store.read() as view:
            return None if deployment is None else view.pipelines.version(deployment.version_id).number

    def promotion(self, promotion_id: int) -> Promotion:
        with self.store.read() as view:
            return view.promotions.get(promotion_id)

    def to_qa(self, version: Version, name: str = "flights", by: str = "ada") -> Promotion:
        asked = request_promotion(self.ctx, self.as_(by), name, version.number, QA)
        return execute_promotion(self.ctx, self.as_(by), asked.id).promotion

    def ask(self, version: Version, target: Environment, by: str = "ada", name: str = "flights") -> Promotion:
        return request_promotion(self.ctx, self.as_(by), name, version.number, target)

    def approve(self, promotion: Promotion, by: str = "lea", **options: Any) -> Answered:
        return approve_promotion(self.ctx, self.as_(by), promotion.id, promotion.plan_digest, **options)

    def begin(self, version: Version, environment: Environment, name: str = "flights", **options: Any) -> str:
        """Admits and starts a run."""
        run_id = f"{self.ctx.executor}-run-{next(self._runs)}"
        self.dagster.states[run_id] = RunState.ACTIVE
        admit_run(self.ctx, DAGSTER, run_id, name=name, digest=version.digest, environment=environment, **options)
        start = start_run(self.ctx, DAGSTER, run_id, name)
        assert start.waits_for == ""
        return run_id

    def publishing(self, run_id: str, table: str, environment: Environment, number: int = 0, **work: Any) -> Publish:
        """What a step asks a permit for, after it has written a snapshot."""
        base = self.plane.head(table, environment.ref)
        name = table.split(".", maxsplit=1)[0]
        raw = f"{name}_raw.flights"
        given: dict[str, Any] = {
            "checks": (CheckResult(node=f"checks{number}", check="some", passed=True),),
            "inputs": (InputRead(node="raw", name=raw, snapshot=self.plane.head(raw, "main")),),
            "rows": 3,
            **work,
        }
        return Publish(
            run_id=run_id, pipeline=name, step=f"sink{number}", table=table, ref=environment.ref, base=base,
            candidate=self.plane.write(table, base), work=Work(**given),
        )  # fmt: skip

    def publish(self, asked: Publish) -> Receipt:
        leave = grant_permit(self.ctx, DAGSTER, asked)
        assert leave.permit is not None
        assert self.plane.publish(asked.table, asked.ref, asked.base, asked.candidate)
        return record_receipt(self.ctx, DAGSTER, leave.permit.id)

    def compact(self, table: str) -> int:
        """A rewrite of main's files that maintenance answers for, whatever else is going on."""
        base = self.plane.head(table, "main")
        assert base is not None
        candidate = self.plane.commit(table, operation="replace")
        with self.store.write(SETUP, "maintain") as unit:
            pipeline = unit.pipelines.named(table.split(".", maxsplit=1)[0])
            permit = unit.runs.add_maintenance(
                environment="production", pipeline_id=pipeline.id, version_id=unit.pipelines.numbered(pipeline, 1).id,
                table_name=table, ref="main", base=base, candidate=candidate, details={}, granted_by=None,
                lease_until=unit.now,
            )  # fmt: skip
            write_maintenance_receipt(unit, permit)
        return candidate

    def run(self, version: Version, environment: Environment, name: str = "flights", **options: Any) -> list[Receipt]:
        """A whole run: admitted, both sinks published, finished."""
        raw = f"{name}_raw.flights"
        if self.plane.head(raw, "main") is None:
            self.plane.commit(raw)
        run_id = self.begin(version, environment, name, **options)
        with self.store.read() as view:
            tables = view.pipelines.tables(version.id)
        receipts = [
            self.publish(self.publishing(run_id, table, environment, number)) for number, table in enumerate(tables)
        ]
        finish_run(self.ctx, DAGSTER, run_id, name)
        return receipts

    def to_uat(self, version: Version, by: str = "lea") -> Promotion:
        """From development to UAT, with everything on the way."""
        self.to_qa(version)
        self.run(version, QA)
        return self.approve(self.ask(version, UAT), by)

    def to_production(self, version: Version, by: str = "lea") -> Promotion:
        assert self.to_uat(version, by).state is State.DONE
        self.run(version, UAT)
        return self.approve(self.ask(version, PRODUCTION), by)
