"""What a `rayProcess` step does inside Ray: staged files in, a Python function on batches, files out.

Data goes from storage to Ray tasks and back to storage; neither the runner nor the Spark driver holds it.
`ray.data.read_parquet` is not used: on the same files it took 20 times as long as plain read tasks.
"""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict
from ray.data import Datasink

from drls_dagster.steps.code import load_function
from drls_dagster.storage import filesystem_of

if TYPE_CHECKING:
    from ray.data._internal.execution.interfaces import TaskContext
    from ray.data.datasource import WriteResult

File = tuple[str, int, int]  # path, rows, bytes


class StepCodeError(Exception):
    """The pipeline's own function failed, or gave back something else than its output schema says."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message, details)  # both, so that the error survives pickling
        self.message = message
        self.details = details


class ProcessRequest(BaseModel):
    """One `rayProcess` step: what to read, what to run on it, where to write."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: str
    inputs: tuple[str, ...]  # Parquet files
    output: str  # folder or URI
    python: str | None = None
    entrypoint: str | None = None  # module:function
    code_digest: str | None = None  # of the entry point's package, when it is locked
    search_path: tuple[str, ...] = ()
    batch_size: int
    cpus: float
    gpus: float
    concurrency: int
    output_schema: str  # Arrow schema, serialized, as hex


def process(request: ProcessRequest) -> list[File]:
    """Run the step; returns each file written.

    Only files that a finished task reports are returned: what a task that Ray ran twice left is read by nobody.
    Raises StepCodeError when the pipeline's function is at fault.
    """
    import ray
    import ray.data
    from ray.exceptions import RayError

    if not request.inputs:
        return []
    read = ray.remote(read_parquet)
    tables = ray.data.from_arrow_refs([read.remote(path) for path in request.inputs])
    sink = StagedFiles(request)
    try:
        tables.map_batches(
            apply,
            fn_args=[request],
            batch_format="pyarrow",
            batch_size=request.batch_size,
            zero_copy_batch=True,
            num_cpus=request.cpus,
            num_gpus=request.gpus or None,
            concurrency=request.concurrency,
        ).write_datasink(sink)
    except RayError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, StepCodeError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise (cause or error) from None
    return sink.files


def read_parquet(path: str) -> pa.Table:
    filesystem, name = filesystem_of(path)
    return pq.read_table(name, filesystem=filesystem)


def apply(batch: pa.Table, request: ProcessRequest) -> pa.Table:
    """The pipeline's function on one batch, its answer brought to the output schema."""
    function = load_function(request.python, request.entrypoint, request.code_digest, request.search_path, "process")
    try:
        result = function(batch)
    except Exception as error:
        raise StepCodeError(
            f"process() of node '{request.node}' failed: {type(error).__name__}: {error}", traceback.format_exc()
        ) from None
    return conform(result, output_schema(request), request.node)


def conform(result: Any, schema: pa.Schema, node: str) -> pa.Table:
    """`result` with exactly the columns and types of `schema`.

    Raises StepCodeError naming the column that does not fit.
    """
    if isinstance(result, pa.RecordBatch):
        result = pa.Table.from_batches([result])
    if not isinstance(result, pa.Table):
        raise StepCodeError(f"process() of node '{node}' returned {type(result).__name__}, not a pyarrow.Table")
    missing = [name for name in schema.names if name not in result.column_names]
    extra = [name for name in result.column_names if name not in schema.names]
    if missing or extra:
        what = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(extra)} besides"
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


class StagedFiles(Datasink[list[File]]):
    """Writes each task's blocks into one Parquet file of the step's output folder."""

    def __init__(self, request: ProcessRequest) -> None:
        self.request = request
        self.files: list[File] = []

    def write(self, blocks: Iterable[Any], ctx: TaskContext) -> list[File]:
        filesystem, folder = filesystem_of(self.request.output)
        filesystem.create_dir(folder, recursive=True)
        name = f"{folder}/{uuid.uuid4().hex}.parquet"
        schema = output_schema(self.request)
        rows = 0
        with pq.ParquetWriter(name, schema, filesystem=filesystem) as writer:
            for block in blocks:
                table = pa.table(block) if not isinstance(block, pa.Table) else block
                if table.num_rows:
                    writer.write_table(table.cast(schema))
                    rows += table.num_rows
        if not rows:
            filesystem.delete_file(name)
            return []
        path = f"{self.request.output.rstrip('/')}/{name.rsplit('/', 1)[1]}"
        return [(path, rows, filesystem.get_file_info(name).size)]

    def on_write_complete(self, write_result: WriteResult[list[File]]) -> None:
        self.files = [file for files in write_result.write_returns for file in files]


def touch() -> None:
    """Makes a worker import what steps need."""
