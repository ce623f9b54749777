"""A code location that is DRLS's own, and notes what each process that loads it has built, and its variables."""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg

from drls_dagster.locations.deployed import load_environment
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment


@dg.definitions
def qa() -> dg.Definitions:
    found = load_environment(Environment.QA, load_settings())
    # The job of maintenance is no pipeline's.
    tags = {job.name: dict(job.tags or {}) for job in found.jobs or ()}
    built = {name: given["drls/version"] for name, given in tags.items() if "drls/version" in given}
    folder = Path(os.environ["RECORDED"])
    beside = folder.with_name(f"{folder.name}-variables")
    beside.mkdir(exist_ok=True)
    (beside / str(os.getpid())).write_text(Path("/proc/self/environ").read_text())
    (folder / f"{os.getpid()}.json").write_text(json.dumps(built))
    return found
