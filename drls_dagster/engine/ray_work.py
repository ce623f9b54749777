"""What a `rayProcess` step does inside Ray: staged files in, a Python function on batches, files out.

Data goes from storage to Ray tasks and back to storage: each task reads its files, calls the function and writes what
it gives. Neither the runner, the Spark driver nor Ray's object store holds it: a step may be larger than the store.
`ray.data.read_parquet` is not used: on the same files it took 20 times as long as plain read tasks. Where the system
can fence it, the function runs in a host of its own (step_hosts.py), which does all of a task's work.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from drls_dagster.engine.abandoned import Abandoned, while_wanted
from drls_dagster.engine.carried import carry_code_on_ray
from drls_dagster.engine.step_hosts import StepHosts
from drls_dagster.engine.step_part import write_file
from drls_dagster.engine.step_request import RETRIES, File, ProcessRequest, StepCodeError, StepCrashed
from drls_dagster.errors import DrlsError
from drls_dagster.fences.fences import is_on
from drls_dagster.settings import FenceSettings, Settings
from drls_dagster.storage import filesystem_of

WRITTEN = pa.schema([("path", pa.string()), ("rows", pa.int64()), ("bytes", pa.int64())])
HOSTS = StepHosts()  # of this worker


# Errors in a worker whose text is for people.
TOLD_AS_THEY_ARE = (StepCodeError, StepCrashed, Abandoned, DrlsError)


def process(request: ProcessRequest) -> list[File]:
    """Run the step; returns each file written.

    Only files that a finished task reports are returned: what a task that Ray ran twice left is read by nobody.
    Raises StepCodeError when the pipeline's function is at fault, StepCrashed when it may be.
    """
    import ray.data
    from ray.exceptions import OutOfMemoryError, RayError, WorkerCrashedError

    if not request.inputs:
        return []
    # Its wrapper of errors in user code loses the cause, which is what people need, on the way here.
    ray.data.DataContext.get_current().raise_original_map_exception = True
    work: Any = write_part
    try:
        parts = ray.data.from_arrow([pa.table({"paths": [list(paths)]}) for paths in request.inputs])
        written = parts.map_batches(
            work,
            fn_args=[request],
            batch_format="pyarrow",
            batch_size=1,  # a row, which is the paths of one part, a task; with GPUs Ray wants a number
            num_cpus=request.cpus,
            num_gpus=request.gpus or None,
            compute=ray.data.TaskPoolStrategy(size=request.concurrency),
            max_retries=RETRIES,
        ).take_all()
    except WorkerCrashedError:
        raise StepCrashed(
            f"its workers ended {RETRIES + 1} times without an answer: its function ends the process, or "
            "needs more memory than available (lower batch_size or concurrency)"
        ) from None
    except OutOfMemoryError:
        raise StepCrashed(
            f"its workers were killed {RETRIES + 1} times because memory ran out: lower its batch_size or "
            "concurrency, or use a machine with more memory"
        ) from None
    except RayError as error:
        cause: BaseException | None = error
        while cause is not None and type(cause) not in TOLD_AS_THEY_ARE:  # Ray's own class is both
            cause = getattr(cause, "cause", None) or cause.__cause__
        if isinstance(cause, StepCrashed):
            raise StepCrashed(str(cause).splitlines()[0]) from None  # Ray Data adds advice of its own
        raise (cause or error) from None
    return [(str(row["path"]), int(row["rows"]), int(row["bytes"])) for row in written]


def refuse_too_much(request: ProcessRequest, nodes: Iterable[Mapping[str, float]]) -> None:
    """Raises StepCodeError where no node of the cluster can ever hold a worker: Ray would wait for one without end.

    `nodes` is what each of them has.
    """
    nodes = list(nodes)
    if any(node.get("CPU", 0) >= request.cpus and node.get("GPU", 0) >= request.gpus for node in nodes):
        return
    most = " and ".join(f"{max((node.get(kind, 0) for node in nodes), default=0):g} {kind}" for kind in ("CPU", "GPU"))
    raise StepCodeError(
        f"node '{request.node}' needs {request.cpus:g} CPU and {request.gpus:g} GPU for each worker; Ray has "
        f"{most} here: lower its resources, or use a larger cluster with engine.ray_address"
    )


def write_part(part: pa.Table, request: ProcessRequest) -> pa.Table:
    """One task: a part's files in, the function on its batches, at most one file out, which the answer names."""
    paths: list[str] = part["paths"][0].as_py()
    settings = _settings(request.fence)
    fenced = is_on(settings)
    with while_wanted(request.output, request.ticket, HOSTS.kill if fenced else _end_process) as gone:
        file = HOSTS.write(paths, request, settings, gone) if fenced else _write_here(paths, request)
    return pa.Table.from_pylist([dict(zip(WRITTEN.names, file, strict=True))] if file[1] else [], schema=WRITTEN)


def _write_here(paths: list[str], request: ProcessRequest) -> File:
    """Without a fence, in this worker: there the function may use Ray itself."""
    if request.code is not None:
        carry_code_on_ray()
    filesystem, folder = filesystem_of(request.output)
    filesystem.create_dir(folder, recursive=True)
    target = f"{request.output.rstrip('/')}/{uuid.uuid4().hex}.parquet"
    rows = write_file(paths, target, request)
    return (target, rows, filesystem.get_file_info(filesystem_of(target)[1]).size) if rows else ("", 0, 0)


def _end_process() -> None:
    """Nothing less would end a function that never comes back. Ray tries the task again, which is then not wanted."""
    os._exit(1)


def _settings(fence: FenceSettings | None) -> Settings:
    """Those of the engine that a fence depends on: this worker may be on another machine than its home."""
    # No home: the engine's own fence, around this worker, keeps DRLS's files closed.
    return Settings.model_construct(home=Path("/nonexistent"), fence=fence or FenceSettings())


def touch(fence: FenceSettings) -> None:
    """Makes a worker import what steps need, and start what their hosts are forked from."""
    if is_on(_settings(fence)):
        HOSTS.warm_up()
