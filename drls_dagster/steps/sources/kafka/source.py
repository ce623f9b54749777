"""Kafka sources: offsets are the pin, and how far a sink has read is kept in its snapshots (D4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.positions import Read, position_of
from drls_dagster.steps.sources.kafka import avro_schemas, set_aside
from drls_dagster.steps.sources.kafka.avro_messages import Avro
from drls_dagster.steps.sources.kafka.messages import refused
from drls_dagster.steps.sources.kafka.offsets import behind, offsets_of, text_of
from drls_dagster.steps.sources.kafka.pinning import look
from drls_dagster.steps.sources.kafka.reading import Wanted, staged
from drls_dagster.steps.sources.kafka.registry import Asked
from drls_dagster.steps.sources.kind import SourceKind, Standing
from drls_dagster.steps.sources.pins import Origin, Pin, Place, Reader, SourceMissing, SourceUnreadable
from drls_dagster.steps.sources.staged import own_session, read_rows, refuse_moved
from drls_dagster.steps.staging import still_there
from lifecycle.spec import KafkaSource
from lifecycle.spec.sources import RegisteredSchema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


_STORED = ("connection", "fingerprint", "topic", "topic_id", "low", "high")


@dataclass(frozen=True)
class KafkaPin(Pin):
    """A topic by its connection and id, and the offsets between which it had messages: `low` is read, `high` is not.

    `schema` is the digest of the schema that a registry gave for its rows.
    """

    connection: str
    fingerprint: str
    topic: str
    id: str
    low: str
    high: str
    schema: str | None = None

    def stored(self) -> dict[str, Any]:
        return {"connection": self.connection, "fingerprint": self.fingerprint, "topic": self.topic} | {
            "topic_id": self.id,
            "low": self.low,
            "high": self.high,
            **({"schema": self.schema} if self.schema else {}),
        }

    @property
    def name(self) -> str:
        """For people, and for what a sink keeps: a topic of the same name at other brokers is another one."""
        return name_of(self.connection, self.topic, self.fingerprint)

    @property
    def origin(self) -> Origin:
        return Origin(self.name, self.id)

    def __str__(self) -> str:
        return f"{self.connection}: {self.topic} up to {self.high}"


def name_of(connection: str, topic: str, fingerprint: str) -> str:
    """How a topic is called where a sink's position in it is kept."""
    return f"{connection}/{topic}@{fingerprint.removeprefix('sha256:')[:8]}"


class Topics(SourceKind[KafkaSource, KafkaPin]):
    """Topics of Kafka, from where a sink stopped reading up to the end that the run has pinned."""

    def pin(self, node: str, source: KafkaSource, place: Place) -> KafkaPin:
        connection = place.kafka(node, source.connection)
        seen = look(node, source.topic, connection)
        low, high = text_of(seen.low), text_of(seen.high)
        schema = avro_schemas.digest(_reader(node, source.registry, place)) if source.registry else None
        return KafkaPin(source.connection, connection.fingerprint, source.topic, seen.id, low, high, schema)

    def pinned(self, stored: Mapping[str, Any]) -> KafkaPin:
        first, second, topic, number, low, high = (stored[name] for name in _STORED)
        return KafkaPin(first, second, topic, number, low, high, stored.get("schema"))

    def position(self, source: KafkaSource, pin: KafkaPin, place: Place, standing: Standing | None) -> Read:
        if standing is None:
            return Read(None, pin.high)
        again = "its messages would be read again, as far as the new one has them"
        table = standing.table
        found = position_of(table, standing.base, pin.name, pin.id, again, standing.published())
        if found is None:
            return Read(None, pin.high)
        sink = ".".join(table.name()) if table is not None else standing.sink.table
        remedy = f"decide with `drls table reset-position {sink} {pin.name} --to start` to read what there is"
        return Read(text_of(behind(offsets_of(str(found)), pin, remedy)), pin.high)

    def read(self, reader: Reader, node: str, source: KafkaSource, pin: KafkaPin, between: Read) -> DataFrame:
        start = offsets_of(str(between.start) if between.start is not None else pin.low)
        end = offsets_of(str(between.end))
        files = reader.kept.files()
        if files is None or not still_there([path for path, _, _ in files]):
            before = None if files is None else sum(rows for _, rows, _ in files)
            files = _stage(reader, Wanted(node, source, start, end, _avro(reader, node, source, pin)), pin)
            if before is not None and before != sum(rows for _, rows, _ in files):
                raise SourceMissing(
                    f"node '{node}': messages that this run has read from {pin} are gone; start a new run"
                )
            reader.kept.keep(files)
        frame = read_rows(reader.spark, files)
        aside = set_aside.count(files, source) if source.sets_aside else None
        reader.tally.known(sum(rows for _, rows, _ in files), aside)
        return set_aside.fitting(frame, source) if source.sets_aside else frame

    def ui_kinds(self, source: KafkaSource) -> set[str]:
        return {"kafka"}

    def refused(self, source: KafkaSource) -> str | None:
        return refused(source)


def _avro(reader: Reader, node: str, source: KafkaSource, pin: KafkaPin) -> Avro | None:
    """How messages in Avro are read. Raises SourceMissing where the registry's schema is no longer what was pinned."""
    if source.format != "avro":
        return None
    if source.schema_file is not None:
        content = reader.files().get(source.schema_file)
        if content is None:
            raise SourceMissing(f"node '{node}': the version has no file {source.schema_file}; save the pipeline again")
        return _fitting(node, source, Avro(_of_file(node, source.schema_file, content)))
    registered = source.registry
    if registered is None:
        raise DrlsError(f"node '{node}': {refused(source)}")
    text = _reader(node, registered, reader.place)
    if avro_schemas.digest(text) != pin.schema:
        raise SourceMissing(
            f"node '{node}': version {registered.version} of the subject '{registered.subject}' is another schema than "
            "the one that the run has pinned; start a new run"
        )
    asked = Asked(node, reader.place.registry(node, registered.connection))
    return _fitting(node, source, Avro(text, asked.writer))


def _reader(node: str, registered: RegisteredSchema, place: Place) -> str:
    asked = Asked(node, place.registry(node, registered.connection))
    return asked.reader(registered.subject, registered.version)


def _of_file(node: str, name: str, content: bytes) -> str:
    try:
        return avro_schemas.checked(content.decode())
    except UnicodeDecodeError:
        raise SourceUnreadable(f"node '{node}': {name} is not UTF-8") from None
    except avro_schemas.Unusable as error:
        raise SourceUnreadable(f"node '{node}': the schema in {name} {error}") from None


def _fitting(node: str, source: KafkaSource, avro: Avro) -> Avro:
    """Raises SourceUnreadable for columns of metadata that the schema has as well."""
    own = {name.lower() for name in avro.columns}
    twice = next((name for name in (*source.columns, set_aside.column_of(source)) if name.lower() in own), None)
    if twice is not None:
        raise SourceUnreadable(f"node '{node}': its Avro schema has a field '{twice}'; name that column otherwise")
    return avro


def _stage(reader: Reader, wanted: Wanted, pin: KafkaPin) -> list[list[Any]]:
    connection = reader.place.kafka(wanted.node, wanted.source.connection)
    refuse_moved(wanted.node, connection, pin.fingerprint)
    with own_session(reader.place.settings, reader.spark) as spark:
        files = staged(spark, wanted, connection, reader.folder)
    rows = sum(rows for _, rows, _ in files)
    offsets = sum(wanted.end[one] - at for one, at in wanted.start.items())
    without = offsets - rows
    gaps = f"; {without:,} offset(s) have none: ends of transactions, or taken back or compacted" if without else ""
    source = wanted.source
    aside = f", {set_aside.count(files, source):,} of them set aside" if source.sets_aside else ""
    reader.log(f"node '{wanted.node}': read {rows:,} message(s) of {source.subject}{aside}{gaps}")
    return files
