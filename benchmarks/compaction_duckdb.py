"""A table's small files copied into large ones by DuckDB, without any commit: the quickest other Python tool. A worker.

What it leaves out (field ids, column metrics, deletes, a snapshot) would only make it slower.
"""

from __future__ import annotations

import resource
import shutil
import time
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.lab import serve


def main() -> None:
    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        out = Path(asked["out"])
        began = time.perf_counter()
        with duckdb.connect() as database:
            database.execute("set preserve_insertion_order=false")
            database.execute("set memory_limit='2GB'")
            order = f"order by {asked['order']}" if asked.get("order") else ""
            database.execute(
                f"copy (select * from read_parquet('{asked['data']}/*.parquet') {order}) to '{out}' "
                f"(format parquet, compression zstd, file_size_bytes {asked['target']})"
            )
        taken = time.perf_counter() - began
        made = list(out.glob("*.parquet"))
        size = sum(one.stat().st_size for one in made)
        shutil.rmtree(out)
        return {
            "seconds": taken,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "files": len(made),
            "bytes": size,
        }

    serve(answer)


if __name__ == "__main__":
    main()
