"""The work on one part of a `rayProcess` step: read its files, call the function on batches, write what it gives."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drls_dagster.engine.conform import Misfit
from drls_dagster.engine.conform import conform as fitted
from drls_dagster.engine.python_words import CORRECT
from drls_dagster.engine.step_code import load_function, told
from drls_dagster.engine.step_request import ProcessRequest, StepCodeError
from drls_dagster.errors import DrlsError
from drls_dagster.storage import filesystem_of

ROW_GROUP_BYTES = 64 * 2**20


def write_file(paths: Iterable[str], target: str, request: ProcessRequest) -> int:
    """Write what the function gives for the rows of `paths`; how many rows that is. Without any there is no file."""
    filesystem, name = filesystem_of(target)
    results = (apply(batch, request) for batch in batches(paths, request.batch_size))
    rows = 0
    with pq.ParquetWriter(name, request.schema_of_output, filesystem=filesystem) as writer:
        for table in gathered(results, ROW_GROUP_BYTES):
            writer.write_table(table)
            rows += table.num_rows
    if not rows:
        filesystem.delete_file(name)
    pa.default_memory_pool().release_unused()  # this process waits for the next part, it may be for long
    return rows


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
        function = load_function(request.python, request.entrypoint, request.code_digest, request.code, "process")
        result = function(batch)
    except DrlsError as error:
        raise StepCodeError(str(error)) from None
    except BaseException as error:  # noqa: BLE001  whatever the pipeline's own code raises
        message = f"process() of node '{request.node}' failed: {told(error)}; {CORRECT}"
        raise StepCodeError(message, traceback.format_exc()) from None
    return conform(result, request.schema_of_output, request.node)


def conform(result: Any, schema: pa.Schema, node: str) -> pa.Table:
    """`result` with exactly the columns and types of `schema`.

    Raises StepCodeError naming the column that does not fit.
    """
    if isinstance(result, pa.RecordBatch):
        result = pa.Table.from_batches([result])
    if not isinstance(result, pa.Table):
        how = "; return one, for example with pa.Table.from_pandas(frame)"
        raise StepCodeError(f"process() of node '{node}' returned {type(result).__name__}, not a pyarrow.Table{how}")
    try:
        return fitted(result, schema)
    except Misfit as error:
        where = f"the output of node '{node}'" if error.column is None else f"column '{error.column}' of node '{node}'"
        raise StepCodeError(f"{where} {error.what}") from None
