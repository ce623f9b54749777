"""`drls.to_ray(frame)` and `drls.from_ray(dataset)`: rows from Spark to Ray and back, over staged Parquet files.

Neither side holds all rows: Spark and Ray read and write the files in parts, and the program itself a block at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from ray.data import Dataset

# Types of Spark that have no values in Parquet, with what to do.
_NOT_IN_PARQUET = {
    "void": "has no type, only nulls; cast it",
    "interval": "is an interval; cast it to a number or a string",
    "variant": "is a variant; cast it, or pass it on as a string with to_json",
}


def to_ray(frame: DataFrame) -> Dataset:
    """The rows of a Spark frame as a Ray Dataset, computed once, now. Ray starts here unless it runs.

    Timestamps with a time zone come in UTC. The rows lie in the staging folder, which is cleared after 7 days.
    Raises UsageError for a column that Ray cannot have, and what Spark raises where it cannot compute the frame.
    """
    import ray.data

    from drls_dagster.python_api.staged import new_folder
    from drls_dagster.steps.staging import parquet_options

    for field in frame.schema:
        for name, wrong in _NOT_IN_PARQUET.items():
            if name in field.dataType.simpleString().split(" ") or field.dataType.typeName() == name:
                raise UsageError(f"to_ray: column '{field.name}' {wrong}")
    with new_folder("frames") as folder:
        with _microseconds(frame):
            frame.write.options(**parquet_options(frame.schema)).parquet(folder)
        return ray.data.read_parquet(folder)


def from_ray(dataset: Dataset) -> DataFrame:
    """The rows of a Ray Dataset as a frame of `drls.spark()`, computed once, now. Starts the engine if none runs.

    Columns are found by name in every block; a column that is null in some blocks has the type of the others. The rows
    lie in the staging folder, which is cleared after 7 days.
    Raises UsageError for a column that Spark cannot have, and for blocks whose columns do not fit each other.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from drls_dagster.engine.conform import Misfit, conform
    from drls_dagster.python_api.sessions import spark
    from drls_dagster.python_api.staged import new_folder
    from drls_dagster.storage import filesystem_of

    session = spark()
    # A block without rows may have no columns.
    blocks = [block for block in dataset.to_arrow_refs() if _block(block).schema.names]
    schema = _schema_of([_block(block).schema for block in blocks] or _told_schema(dataset))
    try:
        with new_folder("frames") as folder:
            filesystem, path = filesystem_of(folder)
            filesystem.create_dir(path, recursive=True)
            # Without a block, one file says which columns there are.
            for number, block in enumerate(blocks or [None]):
                rows = schema.empty_table() if block is None else conform(_block(block), schema)
                with (
                    filesystem.open_output_stream(f"{path}/part-{number:05}.parquet") as out,
                    pq.ParquetWriter(out, schema, coerce_timestamps="us") as writer,
                ):
                    writer.write_table(rows)
    except (Misfit, pa.ArrowException) as error:
        raise UsageError(f"from_ray: {_what(error)}") from None
    return session.read.parquet(folder)


@contextmanager
def _microseconds(frame: DataFrame) -> Iterator[None]:
    """As Spark's default for timestamps comes out of Arrow in nanoseconds without a zone, and wrong after 2262."""
    conf, name = frame.sparkSession.conf, "spark.sql.parquet.outputTimestampType"
    before = conf.get(name)
    conf.set(name, "TIMESTAMP_MICROS")
    try:
        yield
    finally:
        conf.set(name, before or "INT96")


def _block(reference: Any) -> pa.Table:
    """A block of a dataset, from Ray's store without a copy."""
    import ray

    return ray.get(reference)


def _told_schema(dataset: Dataset) -> list[pa.Schema]:
    """What a dataset without blocks says of its columns."""
    import pyarrow as pa

    told = dataset.schema()
    return [told.base_schema] if told is not None and isinstance(told.base_schema, pa.Schema) else []


def _schema_of(schemas: list[pa.Schema]) -> pa.Schema:
    """One for all blocks. Raises UsageError."""
    import pyarrow as pa

    if not schemas:
        raise UsageError("from_ray: the dataset has no columns")
    try:
        found = pa.unify_schemas([one.remove_metadata() for one in schemas], promote_options="permissive")
    except pa.ArrowException as error:
        raise UsageError(f"from_ray: the blocks of the dataset do not fit each other: {error}") from None
    for field in found:
        if wrong := _unfit(field.type):
            raise UsageError(f"from_ray: column '{field.name}' {wrong}")
    return found


def _unfit(type_: pa.DataType) -> str | None:
    import pyarrow as pa
    from pyarrow import types

    if isinstance(type_, pa.BaseExtensionType):
        return f"is a {type_.extension_name}, which Spark does not have; make lists or binary of it with map_batches"
    if types.is_null(type_):
        return "has no type, only nulls; cast it"
    if types.is_duration(type_) or types.is_interval(type_) or types.is_time(type_) or types.is_float16(type_):
        return f"is {type_}, which Spark does not have; cast it"
    return None


def _what(error: Exception) -> str:
    from drls_dagster.engine.conform import Misfit

    if isinstance(error, Misfit):
        where = "a block" if error.column is None else f"column '{error.column}' of a block"
        return f"{where} {error.what.replace('output_schema', 'the dataset')}"
    return f"{error}; cast the column"
