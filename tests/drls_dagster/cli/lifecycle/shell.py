"""A shell in which several people use `drls` on one DRLS_HOME."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from drls_dagster import settings
from drls_dagster.cli.main import run
from drls_dagster.kept_tokens import token_file
from drls_dagster.lifecycle_client import Adapters
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from lifecycle.audit import load_signing_key
from lifecycle.domain.environment import Environment
from lifecycle.spec.writing import dump_yaml
from lifecycle.store.store import Store
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.start_run import finish_run
from tests.fakes.clock import FakeClock
from tests.fakes.instant_maintenance import InstantMaintenance
from tests.fakes.orchestrator import FakeOrchestrator
from tests.fakes.passwords import CHEAP
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import DAGSTER, Life, make_spec

PEOPLE = {"ada": "DataEngineer", "lea": "LeadDataEngineer", "leo": "LeadDataEngineer", "vic": "Viewer"}
PASSWORD = "correct horse battery"


class Said(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """`shell("whoami", by="ada")` runs a command as somebody; `fails=1` expects that exit code."""

    def __init__(
        self, home: Path, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.home = home
        self.tokens = tokens
        self.url: str | None = None
        self.clock = FakeClock()
        self.dagster = FakeOrchestrator()
        self.plane = FakePlane(home.parent / "plane.db")
        self._runs = count(1)
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(
        self, *arguments: str, by: str | None = "admin", fails: int = 0, stdin: str = "", plane: bool = True
    ) -> Said:
        """`by` None: with what `drls login` kept. `plane` False: no catalog is connected."""
        if by is None:
            self._monkeypatch.delenv("DRLS_TOKEN", raising=False)
        else:
            self._monkeypatch.setenv("DRLS_TOKEN", self.tokens[by])
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        given = Adapters(clock=self.clock, passwords=CHEAP)
        if plane:
            maintenance = InstantMaintenance(settings.load_settings(self.home))
            given = replace(given, plane=self.plane, orchestrator=self.dagster, maintenance=maintenance)
        code = run(arguments, given)
        out, err = self._capsys.readouterr()
        assert code == fails, err or out
        return Said(code, out, err)

    def point_to(self, url: str) -> None:
        """From now on every command asks the server at `url`."""
        self.url = url
        self._monkeypatch.setenv("DRLS_URL", url)
        settings._load.cache_clear()

    def file(self, name: str = "flights", rows: int = 1, **changes: Any) -> str:
        """A pipeline file; `rows` makes another version."""
        path = self.home.parent / f"{name}-{rows}.yaml"
        path.write_text(dump_yaml(make_spec(name, rows, **changes)))
        return str(path)

    def save(self, rows: int = 1, by: str = "ada") -> None:
        self("pipeline", "save", self.file(rows=rows), by=by)

    def approve_aside(self, request: int) -> None:
        """While another command waits: as Lea, through the use case."""
        with self._life("aside") as life:
            life.approve(life.promotion(request))

    def run_in(self, environment: Environment, number: int = 1, name: str = "flights") -> None:
        """A whole run of the active version, as the gate would drive it."""
        with self._life(f"gate-{next(self._runs)}") as life:
            with life.store.read() as view:
                version = view.pipelines.numbered(view.pipelines.named(name), number)
            life.run(version, environment, name)

    def fail_in(self, environment: Environment, number: int = 1, name: str = "flights") -> str:
        """A run of the active version that publishes nothing."""
        with self._life(f"gate-{next(self._runs)}") as life:
            with life.store.read() as view:
                version = view.pipelines.numbered(view.pipelines.named(name), number)
            run_id = life.begin(version, environment, name)
            finish_run(life.ctx, DAGSTER, run_id, name)
            return run_id

    def reconcile(self) -> None:
        """As the sensor does."""
        with self._life("sensor") as life:
            reconcile(life.ctx, DAGSTER)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store itself, as the gate or a server opens it."""
        here = settings.load_settings(self.home)
        store = Store.open(store_url(here), load_signing_key(signing_key_file(here)), self.clock)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def _life(self, executor: str) -> Iterator[Life]:
        with self.store() as store:
            yield Life(store, self.home.parent, self.clock, executor)

    @property
    def kept(self) -> Path:
        """Where `drls login` keeps the token."""
        return token_file(settings.load_settings(self.home))

    def digest(self, request: int) -> str:
        return self("approvals", "show", str(request), "--json").json["plan_digest"]

    def approve(self, request: int, by: str = "lea") -> Said:
        return self("approvals", "approve", str(request), "--plan", self.digest(request), by=by)

    def to_uat(self, number: int = 1) -> None:
        """Saved already; with everything on the way. It becomes active in UAT."""
        self("promote", f"flights@{number}", "--to", "qa", by="ada")
        self.run_in(Environment.QA, number)
        asked = self("promote", f"flights@{number}", "--to", "uat", "--json", by="ada").json
        self.approve(asked["id"])

    def to_production(self, number: int = 1) -> None:
        self.to_uat(number)
        self.run_in(Environment.UAT, number)
        asked = self("promote", f"flights@{number}", "--to", "production", "--json", by="ada").json
        self.approve(asked["id"])

    def active(self) -> dict[str, int]:
        found = self("env", "--json").json["active"]
        return {one["environment"]: one["version"] for one in found if one["pipeline"] == "flights"}
