"""For the author of a `custom` step's command: read the inputs, write the output, report.

    from drls_dagster import custom

    with custom.step() as step:
        orders = step.table("orders")
        step.check("has_orders", passed=orders.num_rows > 0)
        step.write(orders.slice(0, 10))

It needs pyarrow and dagster-pipes and nothing else of DRLS: `python` in a command finds it, and this one file can be
copied into an environment of your own. In a shell it reads and writes CSV:

    python -m drls_dagster.custom read orders | sort -u | python -m drls_dagster.custom write
    python -m drls_dagster.custom report model=fast
    python -m drls_dagster.custom check has_orders passed
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.dataset as pads

__all__ = ["Partition", "Step", "step"]


@dataclass(frozen=True)
class Partition:
    """The part of the data that this run works on; `start` and `end` where the partitions are of time."""

    keys: tuple[str, ...]
    start: datetime | None = None
    end: datetime | None = None


@dataclass
class Step:
    """A running `custom` step. `inputs` are the ids of the nodes above it."""

    pipeline: str
    node: str
    environment: str
    run_id: str
    inputs: tuple[str, ...]
    parameters: Mapping[str, Any]
    partition: Partition | None
    output_folder: str
    output_schema: Mapping[str, str]
    _given: Mapping[str, Any] = field(repr=False)
    _pipes: Any = field(repr=False)
    _metadata: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    _number: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def files(self, name: str) -> list[str]:
        """The Parquet files of an input. Raises KeyError naming the inputs that there are."""
        if name not in self._given:
            raise KeyError(f"there is no input {name!r}; there is {', '.join(self.inputs) or 'none'}")
        return list(self._given[name]["files"])

    def dataset(self, name: str) -> pads.Dataset:
        """An input as a PyArrow dataset, for data that does not fit into memory."""
        import pyarrow.dataset as pads

        return pads.dataset(self.files(name), format="parquet")

    def table(self, name: str) -> pa.Table:
        """All rows of an input."""
        return self.dataset(name).to_table()

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """The rows of an input, a batch at a time."""
        yield from self.dataset(name).to_batches()

    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection in which each input is a view of its name."""
        import duckdb

        found = duckdb.connect()
        for name in self.inputs:
            files = ", ".join("'" + file.replace("'", "''") + "'" for file in self.files(name))
            found.execute(f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet([{files}])')
        return found

    def write(self, rows: object) -> None:
        """Write rows to the output, as often as you like: a table, batches, a reader, a DuckDB relation, or what else
        gives an Arrow stream. A file appears when it is complete.
        """
        import pyarrow.parquet as pq

        batches, schema = _batches(rows)
        name = (
            f"part-{next(self._number):05}-{uuid.uuid4().hex[:12]}.parquet"  # others of the command may write as well
        )
        unfinished = os.path.join(self.output_folder, f".{name}")
        with pq.ParquetWriter(unfinished, schema) as writer:
            for batch in batches:
                writer.write(batch)
        os.replace(unfinished, os.path.join(self.output_folder, name))

    def report(self, metadata: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Show metadata with the step's run; the last value of a name counts."""
        self._metadata |= {**(metadata or {}), **more}

    def check(
        self,
        name: str,
        passed: bool,
        *,
        severity: Literal["ERROR", "WARN"] = "ERROR",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Report a check. One of severity ERROR that failed stops the step, and nothing is published."""
        self._pipes.report_asset_check(name, bool(passed), severity=severity, metadata=dict(metadata or {}))

    def log(self, message: str) -> None:
        """Write to the log of the run. What the command prints is kept as well."""
        self._pipes.log.info(message)


@contextlib.contextmanager
def step() -> Iterator[Step]:
    """The step that this process is the command of. Raises RuntimeError in any other process."""
    if "DRLS_STEP" not in os.environ:
        raise RuntimeError("DRLS_STEP is not set: this is to be run as the command of a custom step")
    with open(os.environ["DRLS_STEP"]) as file:
        said: dict[str, Any] = json.load(file)
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        made = Step(
            pipeline=said["pipeline"],
            node=said["node"],
            environment=said["environment"],
            run_id=said["run_id"],
            inputs=tuple(said["inputs"]),
            parameters=said["parameters"],
            partition=_partition(said["partition"]),
            output_folder=said["output"]["folder"],
            output_schema=said["output"]["schema"],
            _given=said["inputs"],
            _pipes=pipes,
        )
        yield made
        if made._metadata:
            pipes.report_asset_materialization(metadata=made._metadata)


def _partition(said: Mapping[str, Any] | None) -> Partition | None:
    if said is None:
        return None
    ends = (datetime.fromisoformat(said[end]) if end in said else None for end in ("start", "end"))
    return Partition(tuple(said["keys"]), *ends)


def _batches(rows: Any) -> tuple[Iterable[pa.RecordBatch], pa.Schema]:
    import pyarrow as pa

    if isinstance(rows, pa.RecordBatch):
        return [rows], rows.schema
    if isinstance(rows, pa.Table):
        return rows.to_batches(), rows.schema
    if hasattr(rows, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(rows)
        return reader, reader.schema
    if not isinstance(rows, Iterable):
        raise TypeError(f"{type(rows).__name__} is nothing that can be written; give an Arrow table or batches")
    parts: Iterator[Any] = (batch for part in rows for batch in _batches(part)[0])
    first = next(parts, None)
    if first is None:
        raise ValueError("there are no batches, so their columns are not known; write a table without rows instead")
    return itertools.chain([first], parts), first.schema


def _arrow_type(kind: str) -> pa.DataType:
    """The Arrow type of a column type of the pipeline file, of those that CSV can have."""
    import pyarrow as pa

    known: dict[str, pa.DataType] = {
        "boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(),
        "string": pa.string(), "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC"),
        "timestamp_ntz": pa.timestamp("us"),
    }  # fmt: skip
    if found := re.fullmatch(r"decimal\((\d+),(\d+)\)", kind):
        return pa.decimal128(int(found[1]), int(found[2]))
    if kind not in known:
        raise SystemExit(f"a column of type {kind} cannot be read from CSV; write Parquet instead")
    return known[kind]


def _read(given: argparse.Namespace) -> None:
    from pyarrow import csv

    with step() as this:
        dataset = this.dataset(given.input)
        header = (
            f'"{name.replace(chr(34), 2 * chr(34))}"' if set(name) & set('",\n') else name
            for name in dataset.schema.names
        )
        sys.stdout.buffer.write(f"{','.join(header)}\n".encode())
        options = csv.WriteOptions(include_header=False, quoting_style="needed")
        with csv.CSVWriter(sys.stdout.buffer, dataset.schema, write_options=options) as out:
            for batch in dataset.to_batches():
                out.write_batch(batch)


def _write(_: argparse.Namespace) -> None:
    from pyarrow import csv

    with step() as this:
        types = {name: _arrow_type(kind) for name, kind in this.output_schema.items()}
        options = csv.ConvertOptions(column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False)
        this.write(csv.open_csv(sys.stdin.buffer, convert_options=options))


def _report(given: argparse.Namespace) -> None:
    with step() as this:
        for one in given.values:
            name, _, value = one.partition("=")
            with contextlib.suppress(ValueError):
                value = json.loads(value)
            this.report({name: value})


def _check(given: argparse.Namespace) -> None:
    with step() as this:
        this.check(given.name, given.outcome == "passed", severity="WARN" if given.warn else "ERROR")


def main(arguments: list[str] | None = None) -> None:
    """The helper for shells."""
    parser = argparse.ArgumentParser(
        prog="python -m drls_dagster.custom", description="Inside the command of a custom step."
    )
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("read", help="print the rows of an input as CSV")
    verb.add_argument("input", help="id of a node above the step")
    verb.set_defaults(act=_read)
    verb = verbs.add_parser("write", help="write rows of CSV, with a header, from stdin to the output")
    verb.set_defaults(act=_write)
    verb = verbs.add_parser("report", help="show metadata with the step's run")
    verb.add_argument("values", nargs="+", metavar="NAME=VALUE")
    verb.set_defaults(act=_report)
    verb = verbs.add_parser("check", help="report a check; one that failed stops the step")
    verb.add_argument("name")
    verb.add_argument("outcome", choices=("passed", "failed"))
    verb.add_argument("--warn", action="store_true", help="do not stop the step")
    verb.set_defaults(act=_check)
    given = parser.parse_args(arguments)
    given.act(given)


if __name__ == "__main__":
    main()
