"""Parquet files: the footer of each is read, and columns go by name through all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.columns import spark_quoted
from drls_dagster.steps.sources.files import parquet_types as types
from drls_dagster.steps.sources.files.framing import Contents, union
from drls_dagster.steps.sources.files.heads import packing, refuse_other_formats
from drls_dagster.steps.sources.files.parquet_types import Clash, Kind, Leaf
from drls_dagster.steps.sources.files.placing import Item, Placed, place
from drls_dagster.steps.sources.files.storage import in_parallel, storage_of_place
from drls_dagster.steps.sources.pins import Reader, SourceUnreadable
from lifecycle.spec import FilesSource

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_MOST_PARTS = 100_000
# Hadoop knows these, but has no code for them.
_UNKNOWN_CODECS = ("BROTLI", "LZO")


@dataclass(frozen=True)
class Footer:
    """What a file says of itself: its columns by name, and those whose names occur twice."""

    name: str
    kinds: Mapping[str, Kind]
    twice: Mapping[str, Sequence[str]]
    rows: int
    misread: bool


@dataclass
class _Group:
    """Files that Spark reads at once: none has a column in another type than another."""

    kinds: dict[str, tuple[str, Kind]] = field(default_factory=dict)  # lower case -> name and type
    names: list[str] = field(default_factory=list)


def read_parquet(reader: Reader, node: str, source: FilesSource, contents: Contents) -> DataFrame:
    """The rows of Parquet files. Raises SourceUnreadable naming the file and column that do not fit."""
    footers = in_parallel(lambda file: _footer(node, *file), contents.files)
    reader.tally.known(sum(footer.rows for footer in footers))
    if any(footer.misread for footer in footers):
        reader.spark.conf.set("spark.sql.parquet.enableVectorizedReader", "false")
    schema = {name: types.declared(kind) for name, kind in (source.schema_ or {}).items()}
    own = {name: kind for name, kind in schema.items() if name.lower() not in contents.folder_names}
    if schema:
        _refuse_misfits(node, footers, own, source.schema_ or {})
        wanted = own
    else:
        wanted = _merged(node, footers, contents.folder_names)
    _say_losses(reader, node, footers, wanted)
    items = [Item(name, path, ".parquet") for name, path in contents.files]
    placed = place(reader, node, items, contents.folders)
    order = contents.with_folders({name: types.ddl(kind) for name, kind in (schema or wanted).items()})
    frames = [_frame(reader, node, group, placed, wanted, order, contents) for group in _groups(footers, wanted)]
    return union(frames)


def _footer(node: str, name: str, path: str) -> Footer:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with storage_of_place(path).open(path) as file:
        start = file.read(512)
        if not start.startswith(b"PAR1"):
            packed = packing(start)
            refuse_other_formats(node, name, start, "Parquet file")
            has = "is empty" if not start else f"is packed with {packed}" if packed else "does not begin like one"
            raise SourceUnreadable(
                f"node '{node}': {name} is not a Parquet file: it {has}; send it again, or correct the path"
            )
        file.seek(0)
        try:
            found = pq.ParquetFile(pa.PythonFile(file, mode="r"))
            kinds = types.kinds_of(found.schema, found.schema_arrow)
            names = found.schema_arrow.names
            rows, misread, codec = found.metadata.num_rows, _is_misread(found.metadata), _unknown_codec(found.metadata)
        except (pa.ArrowException, OSError, StopIteration) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SourceUnreadable(
                f"node '{node}': {name} is not a complete Parquet file ({said[:160].rstrip('.')}); send it again"
            ) from None
    if codec:
        raise SourceUnreadable(
            f"node '{node}': {name} is compressed with {codec}, which Spark cannot read; write it with zstd or snappy"
        )
    if not names:
        raise SourceUnreadable(f"node '{node}': {name} has no columns; send it again, or correct the path")
    same: dict[str, list[str]] = {}
    for own in names:
        same.setdefault(own.lower(), []).append(own)
    twice = {low: found for low, found in same.items() if len(found) > 1}
    for own, kind in kinds.items():
        if inside := types.twins_of(kind, own):
            twice.setdefault(own.lower(), inside)
    return Footer(name, kinds, twice, rows, misread)


def _unknown_codec(metadata: Any) -> str:
    """How a file is compressed that Spark cannot read, empty where it can: its columns have all the same."""
    if not metadata.num_row_groups or not metadata.num_columns:
        return ""
    found = {metadata.row_group(0).column(at).compression for at in range(metadata.num_columns)}
    return next((one.lower() for one in _UNKNOWN_CODECS if one in found), "")


def _is_misread(metadata: Any) -> bool:
    """Whether Spark's vectorized reader may return other text than there is, or does not know an encoding.

    The first is uncompressed DELTA_BYTE_ARRAY, seen in Spark 4.1.4 with files that Parquet's Java library wrote in
    pages of version 2: 'nobody' came back as four zeros and 'no'. Its reader of rows is right, and knows
    BYTE_STREAM_SPLIT. A file with very many parts counts as one of those.
    """
    groups, columns = metadata.num_row_groups, metadata.num_columns
    if groups * columns > _MOST_PARTS:
        return True
    parts = (metadata.row_group(group).column(at) for group in range(groups) for at in range(columns))
    return any(
        "BYTE_STREAM_SPLIT" in one.encodings
        or (one.compression == "UNCOMPRESSED" and "DELTA_BYTE_ARRAY" in one.encodings)
        for one in parts
    )


def _refuse_twice(node: str, footer: Footer, low: str) -> None:
    names = footer.twice.get(low)
    if names:
        raise SourceUnreadable(
            f"node '{node}': {footer.name} has the columns {' and '.join(names)}, which Spark treats as the "
            "same column; rename one where the file is written, or give the source a schema without them"
        )


def _merged(node: str, footers: Sequence[Footer], given: set[str]) -> dict[str, Kind]:
    """The columns of all files, each with the type that holds what every file has."""
    kinds: dict[str, Kind] = {}
    spelled: dict[str, str] = {}
    for footer in footers:
        for name, kind in footer.kinds.items():
            low = name.lower()
            if low in given:
                continue
            _refuse_twice(node, footer, low)
            known = spelled.setdefault(low, name)
            try:
                kinds[known] = types.both(kinds[known], kind) if known in kinds else kind
            except Clash:
                raise _clash(node, footers, footer, name) from None
    return {name: _plain(kind) for name, kind in kinds.items()}


def _clash(node: str, footers: Sequence[Footer], last: Footer, name: str) -> SourceUnreadable:
    mine = last.kinds[name]
    for footer in footers:
        for other, kind in footer.kinds.items():
            if other.lower() == name.lower():
                try:
                    types.both(kind, mine)
                except Clash:
                    one, two = sorted([(footer.name, types.told(kind)), (last.name, types.told(mine))])
                    return SourceUnreadable(
                        f"node '{node}': the column '{name}' is {one[1]} in {one[0]} and {two[1]} in "
                        f"{two[0]}; no type fits both. Write the files with one type, or read them as two "
                        "sources and cast"
                    )
    return SourceUnreadable(
        f"node '{node}': the column '{name}' of {last.name} has a different type than in other files"
    )


def _plain(kind: Kind) -> Kind:
    """A type as what is wanted: what it is made to be."""
    if isinstance(kind, Leaf):
        return Leaf(kind.kind, kind.kind, kind.told, kind.why)
    if isinstance(kind, types.Struct):
        return types.Struct({name: _plain(of) for name, of in kind.fields.items()})
    if isinstance(kind, types.Array):
        return types.Array(_plain(kind.element))
    return types.Map(_plain(kind.key), _plain(kind.value))


def _refuse_misfits(node: str, footers: Sequence[Footer], schema: Mapping[str, Kind], given: Mapping[str, str]) -> None:
    seen: set[str] = set()
    for footer in footers:
        has = {name.lower(): name for name in footer.kinds}
        seen |= has.keys()
        for name, want in schema.items():
            low = name.lower()
            _refuse_twice(node, footer, low)
            if low in has and not types.becomes(footer.kinds[has[low]], want):
                kind = footer.kinds[has[low]]
                if isinstance(kind, Leaf) and kind.why:
                    raise SourceUnreadable(f"node '{node}': the column '{has[low]}' of {footer.name} is {kind.why}")
                raise SourceUnreadable(
                    f"node '{node}': the column '{has[low]}' of {footer.name} is {types.told(kind)}, but the "
                    f"source's schema says {given[name]}; declare the type the files have, and cast in the SQL"
                )
    missing = [name for name in schema if name.lower() not in seen]
    if missing:
        shown = ", ".join(footers[0].kinds)
        raise SourceUnreadable(
            f"node '{node}': {footers[0].name} lacks {', '.join(missing)}, and so does every other file; it has "
            f"{shown}. Correct the source's schema"
        )


def _say_losses(reader: Reader, node: str, footers: Sequence[Footer], wanted: Mapping[str, Kind]) -> None:
    named = {name.lower() for name in wanted}
    found: dict[str, str] = {}
    for footer in footers:
        for name, kind in footer.kinds.items():
            if name.lower() in named and any(leaf.told.startswith("timestamp[ns") for leaf in types.leaves_of(kind)):
                found.setdefault(name, footer.name)
    if found:
        name, file = next(iter(found.items()))
        reader.log(f"node '{node}': nanoseconds are truncated to microseconds in {', '.join(found)} ({name} of {file})")


def _groups(footers: Sequence[Footer], wanted: Mapping[str, Kind]) -> list[_Group]:
    named = {name.lower() for name in wanted}
    groups: list[_Group] = []
    for footer in footers:
        mine = {name.lower(): (name, kind) for name, kind in footer.kinds.items() if name.lower() in named}
        for group in groups:
            if all(low not in group.kinds or group.kinds[low][1] == kind for low, (_, kind) in mine.items()):
                break
        else:
            group = _Group()
            groups.append(group)
        group.kinds = {**mine, **group.kinds}
        group.names.append(footer.name)
    return groups


def _frame(
    reader: Reader,
    node: str,
    group: _Group,
    placed: Placed,
    wanted: Mapping[str, Kind],
    order: Mapping[str, str],
    contents: Contents,
) -> DataFrame:
    from pyspark.sql.connect.functions import builtin as f

    def fail(name: str, why: str) -> Column:
        return f.raise_error(f.lit(f"DRLS: the column '{name}' of node '{node}' is, in {group.names[0]}, {why}"))

    own: dict[str, str] = {}
    made: dict[str, Column] = {}
    for name, want in wanted.items():
        kind = group.kinds[name.lower()][1] if name.lower() in group.kinds else None
        if kind is None:
            continue
        if isinstance(kind, Leaf) and kind.kind == "binary" and types.ddl(want) == "string":
            kind = Leaf("string", "string", "string")  # text whose writer did not say so
            bytes_ = f.col(spark_quoted(name))
            told = fail(name, "bytes that are not all UTF-8; declare the column as `binary`").cast("string")
            made[name] = f.when(~f.is_valid_utf8(bytes_), told).otherwise(bytes_)
        own[name] = types.ddl(kind, read=True)
        column = f.col(spark_quoted(name))
        fitted = types.fitted(column, kind, want, lambda why, name=name: fail(name, why))
        if fitted is not column:
            made[name] = fitted
    lacking = {name: types.ddl(kind) for name, kind in wanted.items() if name not in own}
    # A page that was damaged on its way may still be read, as other values: its writer's checksum tells.
    load = reader.spark.read.format("parquet").option("parquet.page.verify-checksum.enabled", "true")
    return contents.frame(load, placed, [placed.paths[name] for name in group.names], own, order, lacking, made)
