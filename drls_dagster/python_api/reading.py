"""`drls.read(name)`: the rows of a table at one snapshot, in the form that a program works with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from drls_dagster.errors import UsageError
from drls_dagster.notebooks import inside
from drls_dagster.python_api.asking import asked, environment_of

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa
    from pyiceberg.schema import Schema
    from pyspark.sql import DataFrame
    from ray.data import Dataset

    from drls_dagster.lakehouse.reader.finding import Pinned
    from drls_dagster.settings import Settings


def read(
    name: str,
    env: str | None = None,
    ref: str | None = None,
    at: int | datetime | None = None,
    *,
    columns: Sequence[str] = (),
) -> Rows:
    """The rows of a table as it is now: pinned to a snapshot, so that every form has the same rows.

    `name` is exact, or with `env` the name that pipelines use in that environment. `ref` names a branch or tag, `at` a
    snapshot or a time (with a time zone). Reads as the owner of DRLS_TOKEN, or of the token that `drls login` kept; in
    a notebook, as its person, and development's tables only.
    Raises NotFound for a table, ref, snapshot or column that does not exist or that you may not see, UsageError for an
    unknown environment.
    """
    if ref is not None and at is not None:
        raise UsageError("name one point: a ref, a snapshot or a time")
    if isinstance(at, datetime) and at.tzinfo is None:
        raise UsageError(f"the time {at.isoformat(' ')} has no time zone; pass one, such as tzinfo=datetime.UTC")
    if isinstance(columns, str):
        raise UsageError(f"columns takes a list of names; write [{columns!r}]")
    if inside.is_inside():
        return _pinned_inside(name, env, ref, at, tuple(columns))
    with asked() as client:
        page = client.tables.preview(
            name,
            environment=None if env is None else environment_of(env),
            snapshot=at if isinstance(at, int) else None,
            ref=ref,
            at=at if isinstance(at, datetime) else None,
            columns=tuple(columns),
            rows=1,
        )
    return Rows(page.name, page.snapshot, tuple(columns))


@dataclass(frozen=True)
class Rows:
    """A table at one snapshot, to be read as often as you like: later commits change nothing.

    `name` is the table's own in the catalog. `snapshot` is None for a table without any. `columns` are those that you
    named; none means all.
    """

    name: str
    snapshot: int | None
    columns: tuple[str, ...] = ()

    def batches(self) -> pa.RecordBatchReader:
        """Arrow batches of bounded size. A reader is read once; ask for another one to read again."""
        import pyarrow as pa
        from pyiceberg.io.pyarrow import schema_to_pyarrow

        from drls_dagster.lakehouse.reader.preview import chosen

        settings = self._settings()
        pinned = self._pinned(settings)
        columns = chosen(pinned, self.columns)
        schema = pa.schema([(one.name, one.type) for one in schema_to_pyarrow(columns, include_field_ids=False)])
        return pa.RecordBatchReader.from_batches(schema, _batches(settings, pinned, columns, schema))

    def to_arrow(self) -> pa.Table:
        """All rows in memory, as a PyArrow table."""
        return self.batches().read_all()

    def to_pandas(self) -> pd.DataFrame:
        """All rows in memory, as a pandas frame."""
        return self.to_arrow().to_pandas()

    def to_duckdb(self, connection: duckdb.DuckDBPyConnection | None = None) -> duckdb.DuckDBPyRelation:
        """All rows in memory, as a relation of `connection`; by default, of the one that `duckdb.sql` uses."""
        import duckdb

        return (connection or duckdb.default_connection()).from_arrow(self.to_arrow())

    def to_spark(self) -> DataFrame:
        """A lazy frame of `drls.spark()`, which reads the snapshot on the engine. Starts the engine if none runs."""
        from drls_dagster.lakehouse.columns import spark_quoted
        from drls_dagster.lakehouse.names import split_name
        from drls_dagster.python_api.sessions import spark

        settings = self._settings()
        table = ".".join(map(spark_quoted, (settings.catalog.name, *split_name(self.name))))
        point = "WHERE false" if self.snapshot is None else f"VERSION AS OF {self.snapshot}"
        columns = ", ".join(map(spark_quoted, self.columns)) or "*"
        return spark().sql(f"SELECT {columns} FROM {table} {point}")

    def to_ray(self) -> Dataset:
        """A Ray Dataset, a block per batch. Ray starts here unless it runs; its store spills what it cannot hold."""
        from drls_dagster.python_api.ray_frames import dataset_of

        return dataset_of(self.batches())

    def _settings(self) -> Settings:
        from drls_dagster.settings import load_settings

        settings = load_settings()
        if settings.url:
            raise UsageError("rows are read from the catalog here; unset DRLS_URL, or read drls.table(…).preview()")
        return settings

    def _pinned(self, settings: Settings) -> Pinned:
        """Raises NotFound where the snapshot has expired."""
        from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
        from drls_dagster.lakehouse.catalog_config import resolve_catalog
        from drls_dagster.lakehouse.reader.finding import Pinned, find, pin
        from drls_dagster.lakehouse.refs import schema_at
        from lifecycle.domain.tables import Point, TableAt

        with catalog_errors(resolve_catalog(settings)):
            found = find(load_catalog(settings), TableAt(name=self.name))
            if self.snapshot is None:  # also where it has one by now
                return Pinned(found.name, found.table, None, schema_at(found.table, None))
            return pin(found, Point(snapshot=self.snapshot))


@dataclass(frozen=True)
class NotebookRows(Rows):
    """A table at one snapshot, asked for with the notebook's token."""

    def batches(self) -> pa.RecordBatchReader:
        asked = {"name": self.name, "snapshot": self.snapshot, "columns": self.columns, "empty": self.snapshot is None}
        return inside.batches(asked)

    def to_spark(self) -> NoReturn:
        raise _no_engine("to_spark")

    def to_ray(self) -> NoReturn:
        raise _no_engine("to_ray")


def _pinned_inside(
    name: str, env: str | None, ref: str | None, at: int | datetime | None, columns: tuple[str, ...]
) -> NotebookRows:
    """The table as it is now."""
    asked = {
        "name": name,
        "environment": env,
        "ref": ref,
        "snapshot": at if isinstance(at, int) else None,
        "at": at.isoformat() if isinstance(at, datetime) else None,
        "columns": columns,
    }
    return NotebookRows(*inside.pin(asked), columns)


def _no_engine(what: str) -> UsageError:
    return UsageError(f"a notebook has no engine: instead of {what}(), use to_arrow(), to_pandas() or to_duckdb()")


def _batches(settings: Settings, pinned: Pinned, columns: Schema, schema: pa.Schema) -> Iterator[Any]:
    import pyarrow as pa

    from drls_dagster.lakehouse.catalog import catalog_errors
    from drls_dagster.lakehouse.catalog_config import resolve_catalog
    from drls_dagster.lakehouse.reader.preview import batches

    with catalog_errors(resolve_catalog(settings)):
        for batch in batches(pinned, columns):
            own = [
                column if column.type == field.type else column.cast(field.type)
                for column, field in zip(batch.columns, schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(own, schema=schema)
