"""A `rayProcess` step in a Ray job of its own: `python -m benchmarks.ray_step_job REQUEST ADDRESS`.

Prints the seconds from before `ray.init` to the last file written, and the rows, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import ray
import ray.data

from drls_dagster.engine.ray_work import process
from drls_dagster.engine.step_request import ProcessRequest


def main() -> None:
    request = ProcessRequest.model_validate_json(Path(sys.argv[1]).read_text())
    began = time.perf_counter()
    ray.init(address=sys.argv[2], namespace="drls", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    files = process(request)
    print(json.dumps({"seconds": time.perf_counter() - began, "files": files}))


if __name__ == "__main__":
    main()
