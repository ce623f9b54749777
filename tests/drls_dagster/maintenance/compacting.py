"""A table with a history, an operation on it, and its rows as DuckDB reads them from the files."""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestEntry,
    ManifestEntryStatus,
    write_manifest_list,
)
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, AssertTableUUID
from pyiceberg.typedef import Record

from drls_dagster.lakehouse import refs, rewriting
from drls_dagster.lakehouse.stored_files import local_path
from drls_dagster.maintenance import compact
from drls_dagster.maintenance.work import Keep, Note, Work
from drls_dagster.settings import load_settings
from lifecycle.domain.operations import CompactOptions, CompactResult, Progress

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

_FILE_PATH = 2147483546
_DELETES = pa.schema(
    [
        pa.field("file_path", pa.string(), nullable=False, metadata={"PARQUET:field_id": str(_FILE_PATH)}),
        pa.field("pos", pa.int64(), nullable=False, metadata={"PARQUET:field_id": "2147483545"}),
    ]
)


def lake(folder: Path) -> Catalog:
    folder.mkdir(parents=True, exist_ok=True)
    catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    catalog.create_namespace_if_not_exists("ns")
    return catalog


class FileJournal:
    """Notes in a file, which outlive the process that wrote them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _append(self, line: dict[str, Any]) -> None:
        with self._path.open("a") as out:
            out.write(json.dumps(line) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text().splitlines()] if self._path.exists() else []

    def note(self, kind: str, **facts: Any) -> Note:
        number = len(self._lines())
        self._append({"id": number, "kind": kind, "facts": facts})
        return Note(number, 1, kind, facts)

    def notes(self, kind: str) -> Sequence[Note]:
        lines = self._lines()
        settled = {number for line in lines for number in line.get("settled", ())}
        return [Note(x["id"], 1, kind, x["facts"]) for x in lines if x.get("kind") == kind and x["id"] not in settled]

    def settle(self, notes: Sequence[Note]) -> None:
        self._append({"settled": [one.id for one in notes]})


def committer(catalog: Catalog) -> Callable[..., Table]:
    def publish(table: Table, ref: str, base: int | None, add: AddSnapshotUpdate, snapshot_id: int) -> Table:
        try:
            catalog.commit_table(
                table,
                (AssertTableUUID(uuid=table.metadata.table_uuid), refs.ref_is(ref, base)),
                (add, refs.set_branch(table, ref, snapshot_id)),
            )
        except CommitFailedException as error:
            raise refs.RefMoved(str(error)) from None
        except ValueError as error:
            if "sequence number" not in str(error):
                raise
            raise refs.RefMoved(str(error)) from None
        return catalog.load_table(table.name())

    return publish


def work(
    catalog: Catalog, table: Table, folder: Path, ref: str = "main", told: Callable[[Progress], None] = lambda _: None
) -> Work:
    return Work(
        settings=load_settings(folder / "home"),
        catalog=catalog,
        table=table,
        name=".".join(table.name()),
        ref=ref,
        keep=Keep(),
        journal=FileJournal(folder / "journal"),
        publish=committer(catalog),
        told=told,
    )


def compacted(
    catalog: Catalog, name: str, folder: Path, ref: str = "main", **options: Any
) -> tuple[CompactResult, Table]:
    table = catalog.load_table(name)
    given = CompactOptions(**options)
    result = compact.execute(work(catalog, table, folder, ref), given)
    return result, catalog.load_table(name)


def content(table: Table, ref: str = "main") -> Counter[str]:
    """The rows at a ref, each as text with every bit that counts, read by DuckDB from the Parquet files.

    Columns are found by field id; delete files are applied here, as the specification has it.
    """
    head = refs.head(table, ref)
    if head is None:
        return Counter()
    snapshot = table.snapshot_by_id(head)
    assert snapshot is not None
    entries = [one for found in snapshot.manifests(table.io) for one in found.fetch_manifest_entry(table.io)]
    data = [one for one in entries if one.data_file.content == 0]
    deletes = [str(local_path(one.data_file.file_path)) for one in entries if one.data_file.content == 1]
    database = duckdb.connect()
    database.execute("set timezone='UTC'")
    database.execute("create table gone (path varchar, pos bigint)")
    for path in deletes:
        database.execute("insert into gone select file_path, pos from read_parquet(?)", [path])
    rows: Counter[str] = Counter()
    for one in data:
        path = str(local_path(one.data_file.file_path))
        ids = columns_by_id(database, path)
        equal = [
            unnamed(database, each.data_file, ids)
            for each in entries
            if each.data_file.content == 2
            and (each.sequence_number or 0) > (one.sequence_number or 0)
            and (
                not table.specs()[each.data_file.spec_id].fields
                or (each.data_file.spec_id, repr(each.data_file.partition))
                == (one.data_file.spec_id, repr(one.data_file.partition))
            )
        ]
        chosen = [
            f"hash({quoted(ids[field.field_id])}::{compared_as(field)})::varchar || ':' || coalesce({quoted(ids[field.field_id])}::varchar, '~')"
            if field.field_id in ids
            else "hash(null)::varchar || ':~'"
            for field in table.schema().fields
        ]
        found = database.execute(
            f"select [{', '.join(chosen)}]::varchar, count(*) "
            "from read_parquet(?, file_row_number=true, hive_partitioning=false) as rows "
            f"where {' and '.join([*equal, 'true'])} "
            "and file_row_number not in (select pos from gone where path = ?) group by 1",
            [path, one.data_file.file_path],
        ).fetchall()
        for text, count in found:
            rows[text] += count
    return rows


def columns_by_id(database: duckdb.DuckDBPyConnection, path: str) -> dict[int, str]:
    query = "select field_id, name from parquet_schema(?) where field_id is not null and field_id > 0"
    return dict(database.execute(query, [path]).fetchall())


def unnamed(database: duckdb.DuckDBPyConnection, delete: DataFile, ids: dict[int, str]) -> str:
    """The condition that no row of an equality delete file equals one of `rows`; a null equals a null."""
    path = str(local_path(delete.file_path))
    named = columns_by_id(database, path)
    equal = [
        f"gone.{quoted(named[one])} is not distinct from {'rows.' + quoted(ids[one]) if one in ids else 'null'}"
        for one in delete.equality_ids or ()
    ]
    literal = path.replace("'", "''")
    return f"not exists (select 1 from read_parquet('{literal}') as gone where {' and '.join(equal)})"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def compared_as(field: Any) -> str:
    return {"int": "bigint", "long": "bigint", "float": "double", "double": "double"}.get(
        str(field.field_type), "varchar"
    )


def live(table: Table, ref: str = "main") -> list[DataFile]:
    """The data files of a ref, as its manifests have them."""
    snapshot = table.snapshot_by_id(refs.head(table, ref) or 0)
    assert snapshot is not None
    entries = [one for found in snapshot.manifests(table.io) for one in found.fetch_manifest_entry(table.io)]
    return [one.data_file for one in entries if one.data_file.content == 0]


def data_files(table: Table, ref: str = "main") -> list[Path]:
    return sorted(Path(str(local_path(one.file_path))) for one in live(table, ref))


def stored(table: Table) -> set[Path]:
    """Every data file, manifest and manifest list that lies in the table's folder."""
    root = Path(str(local_path(table.location())))
    return {one for one in root.rglob("*") if one.suffix in (".parquet", ".avro", ".puffin")}


def needed(table: Table) -> set[Path]:
    """Every file that a snapshot of the table needs."""
    found: set[str] = set()
    for snapshot in table.metadata.snapshots:
        found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            found.add(manifest.manifest_path)
            found |= {one.data_file.file_path for one in manifest.fetch_manifest_entry(table.io)}
    return {Path(str(local_path(one))) for one in found}


def delete_positions(catalog: Catalog, name: str, rows: dict[str, list[int]], ref: str = "main") -> Table:
    """Commits one delete file for each data file path, as a merge-on-read writer does."""
    table = catalog.load_table(name)
    entries = {one.file_path: one for one in live(table, ref)}
    made: list[DataFile] = []
    for path, positions in sorted(rows.items()):
        found = pa.table({"file_path": [path] * len(positions), "pos": positions}, schema=_DELETES)
        bound = {_FILE_PATH: path.encode()}
        kind = DataFileContent.POSITION_DELETES
        made.append(_delete_file(table, found, kind, entries[path], lower_bounds=bound, upper_bounds=bound))
    return commit_deletes(catalog, table, made, ref)


def delete_equal(
    catalog: Catalog, name: str, rows: pa.Table, like: DataFile | None = None, ref: str = "main", spec_id: int = 0
) -> Table:
    """Commits a delete file for the rows that equal one of `rows` in its columns, as a writer of upserts does.

    In the partition of `like`; without it everywhere, by the spec with `spec_id`, which has no partitions.
    """
    table = catalog.load_table(name)
    fields = [next(one for one in _every_field(table) if one.name == column) for column in rows.column_names]
    ids = [one.field_id for one in fields]
    named = [
        pa.field(one.name, rows.schema.field(at).type, metadata={"PARQUET:field_id": str(one.field_id)})
        for at, one in enumerate(fields)
    ]
    kind = DataFileContent.EQUALITY_DELETES
    made = _delete_file(table, rows.cast(pa.schema(named)), kind, like, equality_ids=ids)
    if like is None:
        made.spec_id = spec_id
    return commit_deletes(catalog, table, [made], ref)


def _every_field(table: Table) -> list[Any]:
    """Those of the newest schema first."""
    known = table.schemas()
    return [*table.schema().fields, *(one for at in sorted(known, reverse=True) for one in known[at].fields)]


def _delete_file(table: Table, rows: pa.Table, kind: DataFileContent, like: DataFile | None, **more: Any) -> DataFile:
    path = f"{table.location()}/data/deletes-{uuid.uuid4()}.parquet"
    pq.write_table(rows, str(local_path(path)))
    made = DataFile.from_args(
        content=kind,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=Record() if like is None else like.partition,
        record_count=rows.num_rows,
        file_size_in_bytes=Path(str(local_path(path))).stat().st_size,
        **more,
    )
    made.spec_id = 0 if like is None else like.spec_id
    return made


def commit_deletes(catalog: Catalog, table: Table, files: Sequence[DataFile], ref: str = "main") -> Table:
    parent = table.snapshot_by_id(refs.head(table, ref) or 0)
    assert parent is not None
    number = table.metadata.new_snapshot_id()
    made: dict[int, list[DataFile]] = {}
    for one in files:
        made.setdefault(one.spec_id, []).append(one)
    manifests = []
    for spec_id, part in made.items():
        output = table.io.new_output(f"{table.location()}/metadata/{uuid.uuid4()}-m0.avro")
        with rewriting._DeletesWriter(table.specs()[spec_id], table.schema(), output, number, "gzip") as writer:
            for one in part:
                status = ManifestEntryStatus.ADDED
                writer.add_entry(ManifestEntry.from_args(status=status, snapshot_id=number, data_file=one))
        manifests.append(writer.to_manifest_file())
    listed = f"{table.location()}/metadata/snap-{number}-0-{uuid.uuid4()}.avro"
    sequence = table.metadata.next_sequence_number()
    output = table.io.new_output(listed)
    with write_manifest_list(2, output, number, parent.snapshot_id, sequence, "gzip") as writer:
        writer.add_manifests([*manifests, *parent.manifests(table.io)])
    totals = {key: value for key, value in refs.summary(parent).items() if key.startswith("total-")}
    for name, kind in (("position", DataFileContent.POSITION_DELETES), ("equality", DataFileContent.EQUALITY_DELETES)):
        count = sum(one.record_count for one in files if one.content == kind)
        totals[f"total-{name}-deletes"] = str(int(totals[f"total-{name}-deletes"]) + count)
    totals["total-delete-files"] = str(int(totals["total-delete-files"]) + len(files))
    snapshot = Snapshot.model_validate(
        {
            "snapshot-id": number,
            "parent-snapshot-id": parent.snapshot_id,
            "manifest-list": listed,
            "sequence-number": sequence,
            "schema-id": table.metadata.current_schema_id,
            "summary": Summary(Operation.DELETE, **totals),
        }
    )
    return committer(catalog)(table, ref, parent.snapshot_id, AddSnapshotUpdate(snapshot=snapshot), number)
