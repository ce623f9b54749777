"""One reader of a change feed, in a process of its own: how long, how many changes, and its peak memory in MB."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from pyiceberg.table import StaticTable

from drls_dagster.lakehouse.changes import read_changes


def main(metadata: str, since: str, until: str) -> None:
    table = StaticTable.from_metadata(metadata)
    began = time.perf_counter()
    rows = sum(batch.num_rows for batch in read_changes(table, int(since) or None, int(until) or None, keys=["id"]))
    seconds = time.perf_counter() - began
    json.dump({"seconds": seconds, "rows": rows, "peak": _peak()}, sys.stdout)


def _peak() -> float:
    """Not getrusage's, which a process that a large one has started takes over from it."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
