"""What a `rayProcess` step does inside Ray: staged files in, a Python function on batches, files out.

Data goes from storage to Ray tasks and back to storage: each task reads its files, calls the function and writes what
it gives. Neither the runner, the Spark driver nor Ray's object store holds it: a step may be larger than the store.
`ray.data.read_parquet` is not used: on the same files it took 20 times as long as plain read tasks.
"""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from drls_dagster.engine.abandoned import while_wanted
from drls_dagster.engine.carried import carry_code_on_ray
from drls_dagster.engine.step_code import SentCode, load_function, told
from drls_dagster.errors import DrlsError
from drls_dagster.storage import filesystem_of

File = tuple[str, int, int]  # path, rows, bytes
WRITTEN = pa.schema([("path", pa.string()), ("rows", pa.int64()), ("bytes", pa.int64())])
ROW_GROUP_BYTES = 64 * 2**20
RETRIES = 3  # of a task whose worker died. Ray's own numbers are without end, also where the function kills it


class StepCodeError(Exception):
    """The pipeline's own function failed, or gave back something else than its output schema says."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message, details)  # both, so that the error survives pickling
        self.message = message
        self.details = details


class StepCrashed(Exception):
    """The workers of a step died each time that Ray tried."""


class ProcessRequest(BaseModel):
    """One `rayProcess` step: what to read, what to run on it, where to write."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ticket: str = Field(default_factory=lambda: uuid.uuid4().hex)
    node: str
    inputs: tuple[tuple[str, ...], ...]  # Parquet files, those of a task together
    output: str  # folder or URI
    python: str | None = None
    entrypoint: str | None = None  # module:function
    code_digest: str | None = None  # of the entry point's package, when it is locked
    code: SentCode | None = None  # the version's local code
    batch_size: int
    cpus: float
    gpus: float
    concurrency: int
    output_schema: str  # Arrow schema, serialized, as hex


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
        while cause is not None and type(cause) is not StepCodeError:  # Ray's own class is both
            cause = getattr(cause, "cause", None) or cause.__cause__
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
    with while_wanted(request.output, request.ticket):
        return _write_part(part, request)


def _write_part(part: pa.Table, request: ProcessRequest) -> pa.Table:
    filesystem, folder = filesystem_of(request.output)
    filesystem.create_dir(folder, recursive=True)
    name = f"{uuid.uuid4().hex}.parquet"
    results = (apply(batch, request) for batch in batches(part["paths"][0].as_py(), request.batch_size))
    rows = 0
    with pq.ParquetWriter(f"{folder}/{name}", output_schema(request), filesystem=filesystem) as writer:
        for table in gathered(results, ROW_GROUP_BYTES):
            writer.write_table(table)
            rows += table.num_rows
    files: list[File] = []
    if rows:
        size = filesystem.get_file_info(f"{folder}/{name}").size
        files.append((f"{request.output.rstrip('/')}/{name}", rows, size))
    else:
        filesystem.delete_file(f"{folder}/{name}")
    pa.default_memory_pool().release_unused()  # this worker waits for the next step, it may be for hours
    return pa.Table.from_pylist([dict(zip(WRITTEN.names, file, strict=True)) for file in files], schema=WRITTEN)


def batches(paths: Iterable[str], size: int) -> Iterator[pa.Table]:
    """The files' rows in tables of `size` rows; the last one may have fewer. A file is in memory at a time."""
    rest: pa.Table | None = None
    for path in paths:
        filesystem, name = filesystem_of(path)
        table = pq.read_table(name, filesystem=filesystem)
        if rest is not None:
            table = pa.concat_tables([rest, table])
        full = table.num_rows - table.num_rows % size
        yield from (table.slice(start, size) for start in range(0, full, size))
        rest = table.slice(full)
    if rest is not None and rest.num_rows:
        yield rest


def gathered(tables: Iterable[pa.Table], least: int) -> Iterator[pa.Table]:
    """The same rows in tables of at least that many bytes, except the last; none is empty."""
    held: list[pa.Table] = []
    size = 0
    for table in tables:
        if table.num_rows:
            held.append(table)
            size += table.nbytes
        if size >= least:
            yield pa.concat_tables(held)
            held, size = [], 0
    if held:
        yield pa.concat_tables(held)


def apply(batch: pa.Table, request: ProcessRequest) -> pa.Table:
    """The pipeline's function on one batch, its answer brought to the output schema."""
    try:
        if request.code is not None:
            carry_code_on_ray()
        function = load_function(request.python, request.entrypoint, request.code_digest, request.code, "process")
        result = function(batch)
    except DrlsError as error:
        raise StepCodeError(str(error)) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever the pipeline's own code raises
        message = f"process() of node '{request.node}' failed: {told(error)}"
        raise StepCodeError(message, traceback.format_exc()) from None
    return conform(result, output_schema(request), request.node)


def conform(result: Any, schema: pa.Schema, node: str) -> pa.Table:
    """`result` with exactly the columns and types of `schema`.

    Raises StepCodeError naming the column that does not fit.
    """
    if isinstance(result, pa.RecordBatch):
        result = pa.Table.from_batches([result])
    if not isinstance(result, pa.Table):
        raise StepCodeError(f"process() of node '{node}' returned {type(result).__name__}, not a pyarrow.Table")
    names: list[str] = result.column_names
    missing = [name for name in schema.names if name not in names]
    extra = [name for name in names if name not in schema.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if missing:
        what = f"lacks {', '.join(missing)}"
    elif extra:
        what = f"has extra columns {', '.join(extra)}"
    else:
        what = f"has {', '.join(twice)} twice" if twice else ""
    if what:
        raise StepCodeError(f"the output of node '{node}' {what}; output_schema says {', '.join(schema.names)}")
    columns: list[pa.ChunkedArray] = []
    for field in schema:
        try:
            columns.append(result[field.name].cast(field.type))
        except pa.ArrowException as error:
            raise StepCodeError(
                f"column '{field.name}' of node '{node}' is {result[field.name].type}, which does not fit "
                f"output_schema's {field.type}: {error}"
            ) from None
    return pa.table(columns, schema=schema)


def output_schema(request: ProcessRequest) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(request.output_schema)))


def touch() -> None:
    """Makes a worker import what steps need."""
