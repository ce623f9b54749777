"""Where data comes from. A connection is a name; each environment resolves it from its settings."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from lifecycle.spec.base import (
    CodePath,
    Column,
    Columns,
    Connection,
    Frozen,
    NodeId,
    Path,
    ScalarText,
    TableName,
    Text,
    Whole,
)
from lifecycle.spec.columns import Schema
from lifecycle.spec.errors import FieldError, shorten
from lifecycle.spec.kind import LandingPath, NamedConnection, Source
from lifecycle.spec.parameters import parse_timestamp


def _snapshot_id(value: object) -> object:
    """Iceberg's snapshot ids are 64-bit, more than JSON numbers carry: text of digits is as good."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise FieldError(f"'{shorten(value)}' is not a snapshot id", "write the whole number that Iceberg shows")
    return value


SnapshotId = Annotated[
    int,
    BeforeValidator(_snapshot_id),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["integer", "string"], "pattern": "^[0-9]{1,19}$"}),
]
Timestamp = Annotated[
    datetime, BeforeValidator(parse_timestamp), WithJsonSchema({"type": "string", "format": "date-time"})
]


class IcebergSource(Source):
    """An Iceberg table, always at a pinned snapshot.

    `full` reads the whole table as it is when the run starts, `incremental` what was appended since this
    pipeline's last run, `changes` the rows inserted, updated and deleted since then, one per key, for merge sinks;
    `keys` are the columns that identify a row of the table. `as_of` reads one named `snapshot` or the one current at
    `timestamp` (UTC).
    """

    kind: Literal["iceberg"] = "iceberg"
    table: TableName
    read: Literal["full", "incremental", "changes", "as_of"] = "full"
    keys: Columns | None = None
    snapshot: SnapshotId | None = None
    timestamp: Timestamp | None = None

    @model_validator(mode="after")
    def _one_point_in_time(self) -> IcebergSource:
        named = sum(point is not None for point in (self.snapshot, self.timestamp))
        if self.read == "as_of" and named != 1:
            raise FieldError("read: as_of needs one point in time", "set either snapshot or timestamp")
        if self.read != "as_of" and named:
            raise FieldError(f"read: {self.read} takes no snapshot or timestamp", "write read: as_of, or remove it")
        return self

    @model_validator(mode="after")
    def _keys_of_changes(self) -> IcebergSource:
        if self.read == "changes" and not self.keys:
            raise FieldError("read: changes needs the columns that identify a row", "write keys: [column, …]")
        if self.read != "changes" and self.keys:
            raise FieldError(f"read: {self.read} takes no keys", "write read: changes, or remove keys")
        if any("." in key for key in self.keys or ()):
            raise FieldError("a key is a column, not a field inside one", "name columns of the table")
        return self

    @property
    def label(self) -> str:
        return "Iceberg"

    @property
    def subject(self) -> str:
        return self.table if self.read == "full" else f"{self.table}, {self.read}"

    @property
    def full(self) -> bool:
        return not self.follows

    @property
    def follows(self) -> bool:
        """Whether each sink continues where it stopped reading (D4)."""
        return self.read in ("incremental", "changes")


class FilesSource(Source):
    """Files at a path or glob; a relative path starts at the environment's `landing` setting."""

    kind: Literal["files"] = "files"
    format: Literal["csv", "json", "parquet"]
    path: Path
    options: dict[str, ScalarText] = Field(default_factory=dict)
    schema_: Schema | None = Field(default=None, validation_alias="schema", serialization_alias="schema")

    @property
    def label(self) -> str:
        return "file"

    @property
    def subject(self) -> str:
        return self.path

    @property
    def place(self) -> LandingPath:
        return LandingPath(self.path)


_PART = r"""(?:[^\W\d][\w$#]*|"[^"\x00-\x1f]+"|`[^`\x00-\x1f]+`|\[[^\[\]\x00-\x1f]+\])"""
_DATABASE_TABLE = re.compile(rf"{_PART}(?:\.{_PART}){{0,3}}")


def _table_of_a_database(text: str) -> str:
    """A name and nothing else: the text becomes part of a query."""
    if not _DATABASE_TABLE.fullmatch(text):
        raise FieldError(f"'{shorten(text)}' is not the name of a table", "write schema.table, or a query")
    return text


class JdbcSource(Source):
    """A table or query of a database, read in `partitions` parts along `partition_column`.

    With `incremental_column`, a column whose values only grow, each sink reads the rows behind the value that it has
    read up to.
    """

    kind: Literal["jdbc"] = "jdbc"
    connection: Connection
    table: Annotated[Text, Field(max_length=500), AfterValidator(_table_of_a_database)] | None = None
    query: Text | None = None
    partition_column: Column | None = None
    partitions: Annotated[Whole, Field(ge=1, le=1000)] = 1
    incremental_column: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=255)] | None = None

    @model_validator(mode="after")
    def _table_or_query(self) -> JdbcSource:
        if (self.table is None) == (self.query is None):
            raise FieldError("a jdbc source reads one table or query", "set either table or query")
        if self.partitions > 1 and self.partition_column is None:
            raise FieldError(
                "reading in several partitions needs a column",
                "set partition_column, or remove partitions",
            )
        return self

    @property
    def label(self) -> str:
        return "JDBC"

    @property
    def named(self) -> frozenset[str]:
        """The `:name`s in its query, and those in text that only looks like it."""
        return frozenset(re.findall(r"(?<!:):([A-Za-z_]\w*)", self.query or ""))

    @property
    def subject(self) -> str:
        return f"{self.connection}: {self.table or 'query'}{', incremental' if self.follows else ''}"

    @property
    def full(self) -> bool:
        return not self.follows

    @property
    def follows(self) -> bool:
        """Whether each sink continues where it stopped reading (D4)."""
        return self.incremental_column is not None

    @property
    def place(self) -> NamedConnection:
        return NamedConnection(self.connection)


Meta = Literal["key", "headers", "partition", "offset", "timestamp"]
_MetaColumn = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=255)]

# None is `fail`: versions from before there was a choice keep their digests.
_BadMessages = Annotated[
    Literal["set_aside"] | None,
    BeforeValidator(lambda value: None if value == "fail" else value),
    WithJsonSchema({"enum": ["fail", "set_aside"], "default": "fail"}),
]


class RegisteredSchema(Frozen):
    """A schema of a registry: a `version` of a `subject`, which never changes."""

    connection: Connection
    subject: Annotated[str, Field(pattern=r"^[A-Za-z0-9_:][A-Za-z0-9._:-]*$", max_length=249)]
    version: Annotated[Whole, Field(ge=1, le=2**31 - 1)]


class KafkaSource(Source):
    """A Kafka topic, from where each sink stopped reading it.

    A json or csv message is a row of `schema`; text and binary have one column, `value`. `metadata` names columns for
    what Kafka keeps with a message. One that does not fit fails the run, or is set aside for a `deadLetters` step.
    avro messages are rows of the record in `schema_file`, or of a schema in a registry.
    """

    kind: Literal["kafka"] = "kafka"
    connection: Connection
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=249)]
    format: Literal["json", "csv", "avro", "text", "binary"] = "json"
    schema_: Schema | None = Field(default=None, validation_alias="schema", serialization_alias="schema")
    options: dict[str, ScalarText] = Field(default_factory=dict)
    metadata: dict[Meta, _MetaColumn] = Field(default_factory=dict[Meta, str])
    bad_messages: _BadMessages = None
    registry: RegisteredSchema | None = None
    schema_file: CodePath | None = None

    @model_validator(mode="after")
    def _columns_that_fit(self) -> KafkaSource:
        if self.topic in (".", ".."):
            raise FieldError(f"'{self.topic}' is no name of a topic", "name the topic")
        if self.format in ("json", "csv") and self.schema_ is None:
            raise FieldError(
                f"format: {self.format} needs the columns of its messages", "set schema: {column: type, …}"
            )
        if self.format in ("text", "binary") and self.schema_ is not None:
            raise FieldError(f"format: {self.format} takes no schema", "remove schema, or write format: json or csv")
        if self.format != "avro" and (self.registry or self.schema_file):
            raise FieldError(f"format: {self.format} takes no Avro schema", "remove registry and schema_file")
        if self.registry and self.schema_file:
            raise FieldError("a schema is in a file or in a registry", "set schema_file or registry")
        if self.format == "binary" and self.sets_aside:
            raise FieldError("every message is binary: none is set aside", "remove bad_messages")
        names = [name.lower() for name in self.columns]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise FieldError(f"there are two columns '{twice}'", "name the columns in metadata otherwise")
        return self

    @property
    def label(self) -> str:
        return "Kafka"

    @property
    def subject(self) -> str:
        return f"{self.connection}: {self.topic}"

    @property
    def full(self) -> bool:
        return False

    @property
    def place(self) -> NamedConnection:
        return NamedConnection(self.connection)

    @property
    def connections(self) -> tuple[str, ...]:
        return (self.connection, *((self.registry.connection,) if self.registry else ()))

    @property
    def sets_aside(self) -> bool:
        """Whether a message that does not fit is kept apart, and the run continues."""
        return self.bad_messages == "set_aside"

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of its rows, in order."""
        whole = ("value",) if self.format in ("text", "binary") else ()
        return (*(self.schema_ or whole), *self.metadata.values())


class RateSource(Source):
    """Made-up rows (timestamp, value), for tests and demonstrations."""

    kind: Literal["rate"] = "rate"
    rows_per_second: Annotated[Whole, Field(ge=1, le=10_000_000)] = 1

    @property
    def full(self) -> bool:
        return False


AnySource = Annotated[IcebergSource | FilesSource | JdbcSource | KafkaSource | RateSource, Field(discriminator="kind")]


class SourceNode(Frozen):
    """A node that reads from outside the pipeline."""

    id: NodeId
    type: Literal["source"] = "source"
    source: AnySource
