"""A caller that goes away takes its work in Ray with it, also a function that would never come back."""

from __future__ import annotations

import os
from multiprocessing.connection import Client

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lab import Lab, wait_for

from drls_dagster.engine import client
from drls_dagster.engine.ray_work import ProcessRequest
from drls_dagster.steps.ray_process import ask_runner

ENDLESS = """
import os, pathlib, time
def process(batch):
    pathlib.Path({note!r}).write_text(str(os.getpid()))
    while True:
        time.sleep(60)
"""


@pytest.mark.timeout(300)
def test_a_function_without_end_ends_with_its_caller(lab: Lab) -> None:
    engine = client.ensure_engine(lab.settings)
    runner = client.wait_for_runner(lab.settings, engine)
    rows, note = lab.landing / "in.parquet", lab.landing / "pid"
    pq.write_table(pa.table({"id": [1]}), rows)
    request = ProcessRequest(
        node="worked",
        inputs=((str(rows),),),
        output=str(lab.landing / "out"),
        python=ENDLESS.format(note=str(note)),
        batch_size=10,
        cpus=1,
        gpus=0,
        concurrency=1,
        output_schema=pa.schema([("id", pa.int64())]).serialize().to_pybytes().hex(),
    )
    with Client(("127.0.0.1", runner.port), authkey=bytes.fromhex(runner.token)) as connection:
        connection.send_bytes(request.model_dump_json().encode())
        wait_for("the function", lambda: note.exists() and note.read_text())
        worker = psutil.Process(int(note.read_text()))
        assert worker.is_running()
    wait_for("the end of the function", lambda: not worker.is_running())

    # A step that wants every CPU would wait for what still works.
    greedy = request.model_copy(
        update={"ticket": "next", "python": "def process(batch): return batch", "cpus": os.cpu_count()}
    )
    ((path, count, _),) = ask_runner(lab.settings, engine, greedy.model_dump(mode="json"))
    assert (pq.read_table(path).to_pydict(), count) == ({"id": [1]}, 1)
