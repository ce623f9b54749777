"""The `rayProcess` step: Spark writes files, the warm Ray runner works on them, Spark reads what it wrote.

The result is materialised once per run key and recipe, and used again by retries and re-execution (D2).
"""

from __future__ import annotations

import json
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from typing import TYPE_CHECKING, Any

from drls_dagster.engine.client import EngineError, ensure_engine, wait_for_runner
from drls_dagster.engine.python_words import CORRECT
from drls_dagster.engine.state import EngineState
from drls_dagster.engine.step_code import check_code
from drls_dagster.fences.words import explained
from drls_dagster.lakehouse.columns import arrow_schema
from drls_dagster.steps.kept_output import File, kept_files, note_rows_read, read_back, stage
from drls_dagster.steps.spark import StepFailed
from drls_dagster.steps.staging import forget, parquet_options, staged_parts, staging_folder
from drls_dagster.steps.version_code import locked_digest, sent_code
from lifecycle.spec import RayProcessTransform

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from drls_dagster.settings import Settings
    from drls_dagster.steps.frames import Frames
    from drls_dagster.steps.run import Reads

KNOCKS = 5  # at the runner's door


def build(frames: Frames, node: RayProcessTransform, reads: Reads) -> DataFrame:
    """The step's output as a frame over the files it wrote. Raises StepFailed where its code is at fault."""
    key = frames.key(node.id, reads)
    files = kept_files(frames.run, node.id, key, lambda: _materialise(frames, node, reads, key))
    return read_back(frames.run, files, node.output_schema)


def _materialise(frames: Frames, node: RayProcessTransform, reads: Reads, key: str) -> list[File]:
    run = frames.run
    code_digest = locked_digest(run.spec, node.entrypoint)
    code = sent_code(run)
    if code_digest is not None and not code_digest.startswith("sha256:"):
        check_code(node.entrypoint, code_digest, ())
    folder = staging_folder(run.settings, run.run_key, key)
    (upstream,) = run.spec.upstream(node.id)
    staged = f"{folder}/in"
    found = stage(frames, upstream, reads, staged, parquet_options(frames.frame(upstream, reads).schema))
    note_rows_read(run, node.id, key, found)
    request = {
        "node": node.id,
        "inputs": staged_parts(staged, node.resources.concurrency),
        "output": f"{folder}/out",
        "python": node.python,
        "entrypoint": node.entrypoint,
        "code_digest": code_digest,
        "code": None if code is None else code.model_dump(),
        "batch_size": node.batch_size,
        "cpus": node.resources.cpus,
        "gpus": node.resources.gpus,
        "concurrency": node.resources.concurrency,
        "output_schema": arrow_schema(node.output_schema).serialize().to_pybytes().hex(),
    }
    engine = run.session.engine or ensure_engine(run.settings)
    files = ask_runner(run.settings, engine, request)
    forget(staged)
    run.log(f"node '{node.id}': {sum(rows for _, rows, _ in files):,} rows through Ray in {len(files)} file(s)")
    return files


def ask_runner(settings: Settings, engine: EngineState, request: dict[str, Any]) -> list[File]:
    """Have the warm runner do a step. A runner that dies meanwhile is waited for and asked again, once."""
    for last in (False, True):
        try:
            with _connected(settings, engine) as connection:
                connection.send_bytes(json.dumps(request).encode())
                reply = json.loads(connection.recv_bytes())
        except (EOFError, OSError, AuthenticationError) as error:
            if last:
                raise EngineError(
                    f"node '{request['node']}': the Ray runner ended twice while it worked on it "
                    f"({type(error).__name__}); run again, or lower the step's batch_size or concurrency"
                ) from None
            continue
        if "files" in reply:
            return reply["files"]
        if reply["code"]:
            hint = explained(reply["error"])
            raise StepFailed(f"{reply['error'].removesuffix(f'; {CORRECT}')}: {hint}" if hint else reply["error"])
        raise EngineError(f"node '{request['node']}' failed on Ray: {reply['error']}")
    raise AssertionError("unreachable")


def _connected(settings: Settings, engine: EngineState) -> Connection:
    """A connection that has passed the door; one that was crowded out there tries again."""
    for left in reversed(range(KNOCKS)):
        runner = wait_for_runner(settings, engine)
        try:
            return Client(("127.0.0.1", runner.port), authkey=bytes.fromhex(runner.token))
        except (EOFError, OSError, AuthenticationError):
            if not left:
                raise
            time.sleep(0.2)
    raise AssertionError("unreachable")
