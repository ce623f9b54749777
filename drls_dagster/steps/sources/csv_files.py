"""CSV files as people mean them: quotes as in RFC 4180, and columns by the names in the header.

Spark itself takes the columns of a schema by place, whatever the header says, so that a schema that leaves one out or
has them in another order gives wrong values without an error; and it takes `""` inside of quotes for their end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.columns import spark_ddl_of_spec
from lifecycle.spec import FilesSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

_COMPRESSED = (".gz", ".bz2", ".lz4", ".snappy", ".deflate", ".zst", ".xz")
_WIDE = ("utf-16", "utf-32", "utf16", "utf32")  # a line ends in several bytes there, which Spark splits between


def read_csv(spark: SparkSession, node: str, source: FilesSource, paths: Sequence[str]) -> DataFrame:
    """The rows of CSV files. Raises DrlsError where the header lacks a column of the source's schema."""
    options = csv_options(source.options)
    reader = spark.read.format("csv").options(**options)
    names = list(source.schema_ or ())
    by_place = options.get("header", "false").lower() != "true" or "enforceschema" in options
    header = None if by_place else _plain_header(paths[0], options)
    if not source.schema_:
        if "inferschema" not in options:
            reader = reader.option("inferSchema", "true")
        # Inferred once: otherwise Spark reads the files for it again at each analysis of the frame.
        schema = reader.load(list(paths)).schema
        if header is not None and header == schema.names and len(paths) > 1:
            reader = reader.option("enforceSchema", "false")  # the others have their columns in the same order
        return reader.schema(schema).load(list(paths))
    kinds: Mapping[str, str] = source.schema_
    if not by_place:
        if header is None or _lower(header) != _lower(names):
            header = spark.read.format("csv").options(**options).option("inferSchema", "false").load(paths[0]).columns
        broken = options.get("columnnameofcorruptrecord", "_corrupt_record").lower()
        kinds = _of_the_file(node, header, source.schema_, paths[0], broken)
        reader = reader.option("enforceSchema", "false")
    frame = reader.schema(spark_ddl_of_spec(kinds)).load(list(paths))
    return frame if list(kinds) == names else frame.select(*(f"`{name}`" for name in names))


def csv_options(given: Mapping[str, str]) -> dict[str, str]:
    """The source's options, names in lower case, which Spark takes too, and what DRLS adds where they say nothing."""
    options = {name.lower(): value for name, value in given.items()}
    options.setdefault("escape", '"')
    if options.get("encoding", options.get("charset", "")).lower().startswith(_WIDE):
        options.setdefault("multiline", "true")
    return options


def _of_the_file(node: str, header: Sequence[str], schema: Mapping[str, str], path: str, broken: str) -> dict[str, str]:
    """All columns of a file in its order: with the schema's names and types, the others as text.

    `broken` is the column that Spark fills with lines that it cannot read; no file has it.
    """
    if not header:
        return dict(schema)  # an empty file has no column and no row
    wanted = {name.lower(): name for name in schema}
    missing = [name for name in schema if name.lower() not in {*_lower(header), broken}]
    if missing:
        raise DrlsError(
            f"node '{node}': the header of {path} lacks {', '.join(missing)}; it has {', '.join(header)}. Correct the "
            "source's schema, or say `enforceSchema: true` in its options to take the columns by their place"
        )
    kinds = {wanted.get(name.lower(), name): schema.get(wanted.get(name.lower(), ""), "string") for name in header}
    return kinds if broken not in wanted else {**kinds, wanted[broken]: schema[wanted[broken]]}


def _plain_header(path: str, options: Mapping[str, str]) -> list[str] | None:
    """The header of a file that is here and simple; None where Spark has to be asked, which takes it a job."""
    if "://" in path or path.endswith(_COMPRESSED) or {"encoding", "charset", "comment", "linesep"} & options.keys():
        return None
    with open(path, "rb") as file:
        line = file.readline(65536)
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        return None
    names = text.split(options.get("sep", options.get("delimiter", ",")) or ",")
    plain = line.endswith(b"\n") and "\r" not in text and '"' not in text and all(n and n == n.strip() for n in names)
    return names if plain and len(set(_lower(names))) == len(names) else None


def _lower(names: Sequence[str]) -> list[str]:
    return [name.lower() for name in names]
