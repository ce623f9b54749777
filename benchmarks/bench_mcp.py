"""The MCP server: how soon a client has its tools, what they cost a model's context, how fast they answer 50 clients.

With DAGSTER_MCP set to the `dagster-mcp` of an environment of its own, also against that, and with four questions that
both answer, of one Dagster.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from agent.tools.schema import size
from agent.tools.tool import Toolset
from benchmarks.lab import Lab, in_turn
from benchmarks.lifecycle_store import ENGINEER, LEADS, fill
from benchmarks.mcp_questions import ask_both
from benchmarks.mcp_stdio import stdio
from benchmarks.report import Line, Side, at_most

CLIENTS = 50
INITIALIZE, ALL_TOOLS, READ_TOOLS, P95 = 1.5, 24.0, 9.0, 150.0  # s, kB, kB, ms
PIPELINE = "pipeline_0001"
TABLE = f"{PIPELINE}.daily"
OURS = (sys.executable, "-m", "drls_dagster.cli.main", "mcp")


def run(lab: Lab) -> list[Line]:
    folder = lab.folder / "mcp"
    tokens, _ = fill(folder, lab.times(200, 50), 5, 20)
    _table(folder)
    environment = {"DRLS_HOME": str(folder), "DRLS_TOKEN": tokens[ENGINEER]}
    other = os.environ.get("DAGSTER_MCP")
    return [
        *_starting(lab, environment),
        *_sizes(environment),
        *(ask_both(lab, OURS, other) if other else ()),
        *_clients(lab, folder, [tokens[ENGINEER], *(tokens[one] for one in LEADS)]),
    ]


def _starting(lab: Lab, environment: Mapping[str, str]) -> list[Line]:
    def seconds(command: Sequence[str]) -> float:
        with stdio(command, environment) as server:
            return server.seconds

    other = os.environ.get("DAGSTER_MCP")
    if other is None:
        lab.log("DAGSTER_MCP is not set: nothing to compare with")
    sides = [OURS, *([(other,)] if other else [])]
    ours, *theirs = in_turn(lab.times(7, 3), *(lambda command=command: seconds(command) for command in sides))
    a = Side("initialize answered over stdio", ours)
    b = Side("dagster-mcp", theirs[0]) if theirs else Side("of them the slowest", (max(ours),))
    return [at_most("mcp", "initialize", a, b, INITIALIZE, f"≤ {INITIALIZE} s")]


def _table(folder: Path) -> None:
    """The table that the first pipeline writes, with a hundred days of three carriers."""
    import pyarrow as pa

    from drls_dagster.lakehouse.catalog import load_catalog
    from drls_dagster.settings import load_settings

    catalog = load_catalog(load_settings(folder))
    catalog.create_namespace(TABLE.partition(".")[0])
    rows = pa.table({"day": [one for one in range(100) for _ in range(3)], "carrier": ["AA", "B6", "UA"] * 100})
    table = catalog.create_table(TABLE, rows.schema)
    for _ in range(5):
        table.append(rows)


def _sizes(environment: Mapping[str, str]) -> list[Line]:
    def kilobytes(command: Sequence[str]) -> float:
        with stdio(command, environment) as server:
            return size(server.ask("tools/list", {})) / 1000

    def listed(what: str, *toolsets: Toolset) -> Side:
        chosen = ("--toolsets", ",".join(toolsets)) if toolsets else ()
        return Side(f"tools/list, {what}", (kilobytes((*OURS, *chosen)),), "kB")

    default, every = listed("default"), listed("everything, with the old names", *Toolset)
    reading = listed("read", Toolset.READ)
    other = os.environ.get("DAGSTER_MCP")
    b = Side("dagster-mcp", (kilobytes((other,)),), "kB") if other else reading
    return [
        at_most("mcp", "tools/list, default", default, b, ALL_TOOLS, f"≤ {ALL_TOOLS:.0f} kB"),
        at_most("mcp", "tools/list, everything", every, b, ALL_TOOLS, f"≤ {ALL_TOOLS:.0f} kB"),
        at_most("mcp", "tools/list, read", reading, b, READ_TOOLS, f"≤ {READ_TOOLS:.0f} kB"),
    ]


def _clients(lab: Lab, folder: object, tokens: Sequence[str]) -> list[Line]:
    """Fifty clients that ask once a second; then without a pause, against a server that is the SDK and nothing else."""
    ours, alone = lab.worker("mcp_server", folder).ask(), lab.worker("mcp_floor").ask()
    clients = lab.worker("mcp_clients")

    def ask(server: Mapping[str, Any], calls: Sequence[Any], seconds: float, think: float) -> _Asked:
        before = _cpu(server["process"])
        found = clients.ask(
            url=server["url"], tokens=tokens, clients=CLIENTS, seconds=seconds, think=think, calls=calls
        )
        if found["errors"]:
            raise RuntimeError(f"{len(found['errors'])} calls failed, the first: {found['errors'][0]}")
        return _Asked(found["took"], found["seconds"], _cpu(server["process"]) - before, found["cpu"])

    ask(ours, CALLS, lab.times(10, 4), 1)  # not the first calls: agents and connections are new
    ask(alone, NOTHING, lab.times(3, 1), 0)
    calm = ask(ours, CALLS, lab.times(30, 6), 1)
    busy, floor = ask(ours, CALLS, lab.times(15, 4), 0), ask(alone, NOTHING, lab.times(15, 4), 0)
    sides = [
        Side(f"p95 of {len(one.every)} calls, {CLIENTS} clients {what}", (_p95(one.every),), "ms")
        for one, what in ((calm, "once a second"), (busy, "without a pause"), (floor, "of the SDK alone"))
    ]
    median = Side("median of them", (statistics.median(calm.every),), "ms")
    return [
        at_most("mcp", "once a second", sides[0], median, P95, f"≤ {P95:.0f} ms", calm.told()),
        Line("mcp", "without a pause", sides[1], sides[2], note=f"{busy.told()}; the SDK alone: {floor.told()}"),
    ]


class _Asked(NamedTuple):
    """What calls took in ms, by tool; the seconds of it, and the CPU seconds of the server and of the clients."""

    took: Mapping[str, Sequence[float]]
    seconds: float
    server: float
    clients: float

    @property
    def every(self) -> list[float]:
        return [value for took in self.took.values() for value in took]

    def told(self) -> str:
        calls = len(self.every)
        own, theirs = (1000 * one / calls for one in (self.server, self.clients))
        each = ", ".join(f"{name} {_p95(took):.0f} ms" for name, took in self.took.items())
        return (
            f"{calls / self.seconds:.0f} calls a second, no errors; CPU of a call {own:.1f} ms in the server, "
            f"{theirs:.1f} ms in the clients; p95 {each}"
        )


def _cpu(process: int) -> float:
    """CPU seconds that a process and its children have taken."""
    own = psutil.Process(process)
    times = [one.cpu_times() for one in (own, *own.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


NOTHING: tuple[tuple[str, dict[str, Any]], ...] = (("nothing", {}),)
# Reading tools that ask the lifecycle and the catalog: Dagster is not part of this.
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("search", {"kind": "pipeline"}),
    ("get_pipeline", {"name": PIPELINE}),
    ("list_requests", {}),
    ("get_request", {"id": 1}),
    ("history", {"pipeline": PIPELINE}),
    ("lineage", {"name": TABLE}),
    ("what_was_production_at", {"time": "2030-01-01", "pipeline": PIPELINE}),
    ("get_table", {"table": TABLE}),
    ("preview_table", {"table": TABLE}),
    ("query", {"sql": f"SELECT carrier, count(*) AS days FROM {TABLE} GROUP BY carrier"}),
)
