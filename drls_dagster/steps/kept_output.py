"""Steps whose output lies in files of the run: made once for each recipe of a run key, and used again (D2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.columns import spark_ddl_of_spec
from drls_dagster.steps.staging import still_there

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from drls_dagster.steps.frames import Frames
    from drls_dagster.steps.run import PipelineRun, Reads
    from drls_dagster.steps.sources.tally import RowsRead

ROWS_PER_FILE = 1_000_000  # bounds what one reader of a file holds in memory
File = list[Any]  # path, rows, bytes


def kept_files(run: PipelineRun, node_id: str, key: str, make: Callable[[], list[File]]) -> list[File]:
    """The files of an earlier try of this run where they can be reached; else those that `make` gives, noted."""
    files = run.memory.output(node_id, key)
    if files is not None:
        if still_there([path for path, _, _ in files]):
            return files
        run.log(f"node '{node_id}': its output from earlier in this run cannot be reached from here; it runs again")
    files = make()
    run.memory.record_output(node_id, key, files)
    return files


def read_back(run: PipelineRun, files: list[File], schema: Mapping[str, str]) -> DataFrame:
    """The rows of those files, of which there may be none."""
    spark, ddl = run.session.spark, spark_ddl_of_spec(schema)
    if not files:
        return spark.createDataFrame([], ddl)
    return spark.read.schema(ddl).parquet(*(path for path, _, _ in files))


def stage(frames: Frames, name: str, reads: Reads, folder: str, options: Mapping[str, str]) -> Mapping[str, RowsRead]:
    """Write the rows of a node as Parquet for what is not Spark; the rows that were read for it, by source."""
    # Spark's default, INT96, comes out of Arrow in nanoseconds without a zone, and as another time after 2262.
    frames.run.session.spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    frame = frames.frame(name, reads)
    watch = frames.watch(name, reads)
    with frames.reading(name, reads):
        writer = watch.over(frame).write.mode("overwrite").option("maxRecordsPerFile", ROWS_PER_FILE)
        writer.options(**options).parquet(folder)
    return frames.heard(name, reads, watch)


def note_rows_read(run: PipelineRun, node_id: str, key: str, found: Mapping[str, RowsRead]) -> None:
    """Keeps what was read for a step's output next to it: who takes the output again reads nothing (D2)."""
    rows = [[name, one.rows, one.why, one.dead_letters] for name, one in found.items()]
    run.memory.record_rows_read(node_id, key, rows)
