"""A change feed in the hands of a program: rows, Arrow batches, a Ray Dataset or a Spark frame."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import UsageError
from drls_dagster.python_api.asking import asked

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from ray.data import Dataset

    from drls_dagster.lakehouse.changes import Feed
    from lifecycle.domain.environment import Environment

_PAGE = 10_000
_MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class Changes:
    """Changes up to a snapshot, to be read as often as you like. To follow a table, begin at `end` next time.

    `_change_type` is insert, delete, update_before or update_after; `_snapshot_id` is the snapshot that the table is at
    once the change is applied, in the order of `_snapshot_ordinal`; `_committed_at` is when that was written.
    """

    name: str
    environment: Environment | None
    since: int | None
    until: int | None
    keys: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def end(self) -> int | None:
        """The snapshot at which they end: `since` of those that come next. None: the table has no snapshot yet."""
        return self.until

    def rows(self) -> Iterator[dict[str, Any]]:
        """Change by change, values as JSON has them; also from the server at DRLS_URL, in pages."""
        since, skip = self.since, 0
        while self.until is not None:
            with asked() as client:
                page = client.tables.changes(
                    self.name, environment=self.environment, since=since, until=self.until, skip=skip, rows=_PAGE,
                    keys=self.keys, columns=self.columns, most_bytes=_MOST_BYTES, text=100_000,
                )  # fmt: skip
            names = [one.name for one in page.columns]
            for row in page.rows:
                yield dict(zip(names, row, strict=True))
            if page.next is None:
                return
            since, skip = page.next.since, page.next.skip

    def batches(self) -> pa.RecordBatchReader:
        """Arrow batches of bounded size, with values bit by bit as they are in the files."""
        return self._feed().reader()

    def to_arrow(self) -> pa.Table:
        """All changes in memory."""
        return self.batches().read_all()

    def write_parquet(self, file: str | Path) -> int:
        """Writes one Parquet file, as a whole or not at all. Returns the number of changes."""
        import pyarrow.parquet as pq

        target = Path(file)
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
        rows = 0
        try:
            with self.batches() as reader, pq.ParquetWriter(part, reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
                    rows += batch.num_rows
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return rows

    def to_ray(self) -> Dataset:
        """A Ray Dataset, a block per batch. Ray starts here unless it runs; its store spills what it cannot hold."""
        from drls_dagster.python_api.ray_frames import dataset_of

        return dataset_of(self.batches())

    def to_spark(self, spark: Any) -> DataFrame:
        """A frame of your Spark session, over Parquet files in the staging folder, which go after 7 days."""
        import pyarrow.parquet as pq

        from drls_dagster.python_api.staged import new_folder
        from drls_dagster.storage import filesystem_of

        with new_folder("changes") as folder, self.batches() as reader:
            filesystem, path = filesystem_of(folder)
            filesystem.create_dir(path, recursive=True)
            # Always one file, so that a frame without rows has its columns.
            with filesystem.open_output_stream(f"{path}/part-0.parquet") as out:
                pq.write_table(reader.schema.empty_table(), out)
            for number, batch in enumerate(reader, 1):
                with (
                    filesystem.open_output_stream(f"{path}/part-{number}.parquet") as out,
                    pq.ParquetWriter(out, batch.schema) as writer,
                ):
                    writer.write_batch(batch)
        return spark.read.parquet(folder)

    def _feed(self) -> Feed:
        from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
        from drls_dagster.lakehouse.catalog_config import resolve_catalog
        from drls_dagster.lakehouse.changes import change_feed
        from drls_dagster.lakehouse.reader.finding import find
        from drls_dagster.settings import load_settings
        from lifecycle.domain.tables import TableAt

        settings = load_settings()
        if settings.url:
            raise UsageError(
                "Arrow batches are read from the catalog here; with DRLS_URL set, read .rows(), or unset DRLS_URL"
            )
        with asked() as client:  # who may not see the table gets the lifecycle's answer
            client.tables.schema(self.name, environment=self.environment, most=1)
        with catalog_errors(resolve_catalog(settings)):
            found = find(load_catalog(settings), TableAt(name=self.name, environment=self.environment))
            feed = change_feed(
                found.table, self.since, self.until, ref=found.ref, keys=self.keys, columns=self.columns or None
            )
            return feed if self.until is not None else replace(feed, steps=(), end=None)
