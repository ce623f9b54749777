"""One reader of a change feed, in a process of its own: how long, how many changes, and its peak memory in MB."""

from __future__ import annotations

import json
import resource
import sys
import time

from pyiceberg.table import StaticTable

from drls_dagster.lakehouse.changes import read_changes


def main(metadata: str, since: str, until: str) -> None:
    table = StaticTable.from_metadata(metadata)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    rows = sum(batch.num_rows for batch in read_changes(table, int(since) or None, int(until) or None, keys=["id"]))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    json.dump({"seconds": seconds, "rows": rows, "peak": peak / 1024, "start": before / 1024}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
