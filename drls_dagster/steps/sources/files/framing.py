"""Frames over the files of a source: their own columns, those of their folders, and nothing left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.columns import spark_ddl_of_spec, spark_quoted
from drls_dagster.steps.sources.files.hive import Folders
from drls_dagster.steps.sources.files.placing import Placed
from drls_dagster.steps.sources.pins import Reader, SourceUnreadable

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType


PRUNED = "Spark leaves out the folders that the conditions of the query exclude"


@dataclass(frozen=True)
class Contents:
    """The pinned files of a source: (name for people, where the bytes are), and the columns of their folders."""

    node: str
    files: Sequence[tuple[str, str]]
    folders: Folders

    @cached_property
    def folder_names(self) -> set[str]:
        return {name.lower() for name in self.folders.kinds}

    @cached_property
    def _paths(self) -> Mapping[str, str]:
        return dict(self.files)

    def path_of(self, name: str) -> str:
        return self._paths[name]

    def folder_kinds(self, schema: Mapping[str, str]) -> dict[str, str]:
        """The columns that folders give and `schema` does not name."""
        named = {name.lower() for name in schema}
        return {name: kind for name, kind in self.folders.kinds.items() if name.lower() not in named}

    def with_folders(self, schema: Mapping[str, str]) -> dict[str, str]:
        return {**schema, **self.folder_kinds(schema)}

    def frame(
        self,
        load: Any,
        placed: Placed,
        paths: Sequence[str],
        own: Mapping[str, str],
        order: Mapping[str, str],
        lacking: Mapping[str, str],
        made: Mapping[str, Column] | None = None,
        keeps: Column | None = None,
    ) -> DataFrame:
        """The rows of files that have the columns `own`, as the columns of `order`.

        Those of `lacking` are null, those of `made` are made of what was read. Rows that `keeps` is not true of are
        left out.

        Raises SourceUnreadable where Spark would read other files than these.
        """
        from pyspark.sql.connect.functions import builtin as f

        spelled = {name.lower(): name for name in order}
        given = {spelled.get(name.lower(), name): kind for name, kind in self.folders.kinds.items()}
        # Spark takes a folder's `2` for 0.2 where the column has one digit behind the point.
        decimals = {name for name, kind in given.items() if kind.startswith("decimal")}
        given |= dict.fromkeys(decimals, "string")
        load = load.schema(spark_ddl_of_spec({**own, **given}))
        if placed.base is not None:
            load = load.option("basePath", placed.base)
        frame = load.load(list(paths))
        reads = frame.inputFiles()
        if len(reads) != len(paths):
            raise SourceUnreadable(
                f"node '{self.node}': Spark would read {len(reads)} of {len(paths)} pinned files; look for "
                "options that exclude files"
            )
        if keeps is not None:
            frame = frame.where(keeps)
        chosen: list[Column] = []
        for name, kind in order.items():
            read = f.lit(None).cast(kind) if name in lacking else f.col(spark_quoted(name))
            read = read.cast(kind) if name in decimals else read
            chosen.append((made or {}).get(name, read).alias(name))
        # A name of its own ends Spark's hidden column `_metadata`, which has the server's paths.
        return frame.select(*chosen).alias("drls_files")

    def counted(self, reader: Reader, frame: DataFrame) -> DataFrame:
        """The frame, whose rows Spark counts as it reads them.

        With columns of folders it does not: nothing that a count looks at can be left unread, and Spark would read the
        folders that a query excludes.
        """
        if self.folders.kinds:
            reader.tally.unknown(PRUNED)
            return frame
        return reader.tally.watch(frame)


def empty(reader: Reader, schema: Mapping[str, str]) -> DataFrame:
    reader.tally.known(0)
    return reader.spark.createDataFrame([], spark_ddl_of_spec(schema))


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows of frames that have the same columns in the same order."""
    return reduce(lambda one, other: one.unionAll(other), frames)


def ddl(kind: DataType) -> str:
    """A type as DDL that Spark reads again, whatever the names of fields are."""
    found: Any = kind
    name = kind.typeName()
    if name == "struct":
        return "struct<" + ",".join(f"`{f.name.replace('`', '``')}`:{ddl(f.dataType)}" for f in found.fields) + ">"
    if name == "array":
        return f"array<{ddl(found.elementType)}>"
    return f"map<{ddl(found.keyType)},{ddl(found.valueType)}>" if name == "map" else kind.simpleString()
