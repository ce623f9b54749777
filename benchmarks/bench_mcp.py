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
from typing import Any

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
    """Fifty clients that ask once a second, then without a pause."""
    url = lab.worker("mcp_server", folder).ask()["url"]
    clients = lab.worker("mcp_clients")

    def ask(seconds: float, think: float) -> dict[str, Any]:
        found = clients.ask(url=url, tokens=tokens, clients=CLIENTS, seconds=seconds, think=think, calls=CALLS)
        if found["errors"]:
            raise RuntimeError(f"{len(found['errors'])} calls failed, the first: {found['errors'][0]}")
        return found

    ask(lab.times(10, 4), 1)  # not the first calls: agents and connections are new
    calm, busy = ask(lab.times(30, 6), 1), ask(lab.times(15, 4), 0)
    lines: list[Line] = []
    for what, found, limit in (("once a second", calm, P95), ("without a pause", busy, None)):
        every = [value for took in found["took"].values() for value in took]
        a = Side(f"p95 of {len(every)} calls, {CLIENTS} clients {what}", (_p95(every),), "ms")
        b = Side("median of them", (statistics.median(every),), "ms")
        note = f"{len(every) / found['seconds']:.0f} calls a second, no errors; p95 " + ", ".join(
            f"{name} {_p95(took):.0f} ms" for name, took in found["took"].items()
        )
        if limit is None:
            lines.append(Line("mcp", what, a, b, note=note))
        else:
            lines.append(at_most("mcp", what, a, b, limit, f"≤ {limit:.0f} ms", note))
    return lines


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


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
