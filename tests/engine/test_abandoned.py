"""A caller that goes away takes its work in Ray with it, also a function that would never come back."""

from __future__ import annotations

import os
from contextlib import suppress
from multiprocessing.connection import Client
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lab import Lab, wait_for

from drls_dagster.engine import client
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.step_hosts import STEP_MARK
from drls_dagster.engine.step_request import ProcessRequest
from drls_dagster.steps.ray_process import ask_runner

ENDLESS = """
import pathlib, time
def process(batch):
    pathlib.Path("began").touch()
    while True:
        time.sleep(60)
"""


def host_at_work(engine_id: str) -> list[psutil.Process]:
    """The step's host, once its function has begun."""
    found: list[psutil.Process] = []
    for process in processes_of(engine_id):
        with suppress(psutil.NoSuchProcess):
            if STEP_MARK in process.environ() and (Path(process.cwd()) / "began").exists():
                found.append(process)
    return found


@pytest.mark.timeout(300)
def test_a_function_without_end_ends_with_its_caller(lab: Lab) -> None:
    engine = client.ensure_engine(lab.settings)
    runner = client.wait_for_runner(lab.settings, engine)
    rows = lab.landing / "in.parquet"
    pq.write_table(pa.table({"id": [1]}), rows)
    request = ProcessRequest(
        node="worked",
        inputs=((str(rows),),),
        output=f"{lab.settings.staging}/{lab.ns}/out",
        python=ENDLESS,
        batch_size=10,
        cpus=1,
        gpus=0,
        concurrency=1,
        output_schema=pa.schema([("id", pa.int64())]).serialize().to_pybytes().hex(),
    )
    with Client(("127.0.0.1", runner.port), authkey=bytes.fromhex(runner.token)) as connection:
        connection.send_bytes(request.model_dump_json().encode())
        wait_for("the function", lambda: host_at_work(engine.engine_id))
        (host,) = host_at_work(engine.engine_id)
    wait_for("the end of the function", lambda: not host.is_running())

    # A step that wants every CPU would wait for what still works.
    greedy = request.model_copy(
        update={"ticket": "next", "python": "def process(batch): return batch", "cpus": os.cpu_count()}
    )
    ((path, count, _),) = ask_runner(lab.settings, engine, greedy.model_dump(mode="json"))
    assert (pq.read_table(path).to_pydict(), count) == ({"id": [1]}, 1)
