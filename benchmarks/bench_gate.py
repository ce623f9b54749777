"""Code locations of what is deployed, and the gate, with 500 pipelines × 5 nodes in production."""

from __future__ import annotations

import statistics

import pyarrow as pa
import sqlalchemy as sa

from benchmarks.lab import Lab, Worker, in_turn
from benchmarks.lifecycle_store import fill, open_lifecycle
from benchmarks.report import Line, Side, at_most
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import load_settings

PIPELINES, FEW = 500, 10
BUILD, DECISION, SENSOR, FLAT = 8.0, 2.0, 50.0, 1.2  # seconds, milliseconds, milliseconds, ratio
BROKEN = "pipeline_0007"


def run(lab: Lab) -> list[Line]:
    pipelines = lab.times(PIPELINES, 100)
    many, few = _home(lab, "many", pipelines), _home(lab, "few", FEW)
    many.ask(what="location")  # the first build of a process imports
    few.ask(what="location")
    built, small = many.ask(what="location"), few.ask(what="location")
    assert (built["jobs"], built["broken"]) == (pipelines - 1, [BROKEN]), built
    assert (small["jobs"], small["broken"]) == (FEW - 1, [BROKEN]), small
    whole, of_few = in_turn(
        lab.times(5, 2), lambda: many.ask(what="location")["took"], lambda: few.ask(what="location")["took"]
    )

    def worker(builder: Worker) -> float:
        done = builder.ask(what="worker")
        assert done["jobs"] == 1, done
        return done["took"]

    worker(many)
    worker(few)
    one_of_many, one_of_few = in_turn(lab.times(25, 5), lambda: worker(many), lambda: worker(few))
    decisions = many.ask(what="decisions")["took"]
    p95 = statistics.quantiles(decisions, n=20)[-1]
    b = Side(f"of {FEW} pipelines", one_of_few)
    lines = [
        at_most(
            "gate",
            "definitions of a location",
            Side(f"{pipelines} pipelines × 5 nodes", whole),
            Side(f"{FEW} pipelines", of_few),
            BUILD,
            f"≤ {BUILD:g} s",
            f"one of them is broken: it shows its error, the other {pipelines - 1} load; {built['assets']} assets",
        ),
        at_most(
            "gate",
            "a run worker's definitions",
            Side(f"one of {pipelines} pipelines, pinned", one_of_many),
            b,
            FLAT * b.median,
            f"A ≤ {FLAT:g} × B",
        ),
        at_most(
            "gate",
            "may V run in E",
            Side(f"p95 of {len(decisions)} decisions", (p95,), "ms"),
            Side("median of them", (statistics.median(decisions),), "ms"),
            DECISION,
            f"≤ {DECISION:g} ms",
        ),
    ]
    took, took_few = many.ask(what="sensors")["took"], few.ask(what="sensors")["took"]
    assert len(took) == 4, took
    for name, values in took.items():
        a, b = Side(f"{pipelines} pipelines", tuple(values), "ms"), Side(f"{FEW}", tuple(took_few[name]), "ms")
        lines.append(at_most("gate", f"sensor {name}", a, b, SENSOR, f"≤ {SENSOR:g} ms"))
    return lines


def _home(lab: Lab, name: str, pipelines: int) -> Worker:
    """A home with a catalog and a store in which one of the deployed versions was changed behind its back."""
    folder = lab.folder / f"gate-{name}"
    fill(folder, pipelines, 3, 0, on_new_data=True)
    ctx = open_lifecycle(folder, "break")
    with ctx.store.engine.begin() as connection:
        triggers = connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
        for trigger in [one for one in triggers if "version" in one]:
            connection.execute(sa.text(f"DROP TRIGGER {trigger}"))
        where = "number = 1 AND pipeline_id = (SELECT id FROM pipeline WHERE name = :name)"
        change = sa.text(f"UPDATE version SET spec = replace(spec, 'tail', 'tale') WHERE {where}")
        connection.execute(change, {"name": BROKEN})
    ctx.store.close()
    catalog = load_catalog(load_settings(folder))
    for number in range(1, pipelines + 1):
        namespace = f"pipeline_{number:04d}"
        catalog.create_namespace(namespace)
        catalog.create_table(f"{namespace}.raw", schema=pa.schema([("tail", pa.string())]))
    lab.log(f"{name}: {pipelines} pipelines in production, a source table each")
    return lab.worker("gate_builder", folder)
