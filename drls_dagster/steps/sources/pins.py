"""What a source is pinned to, what reading it needs, and the errors of one that is missing or unreadable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from drls_dagster.connections.opened import AnyOpened, OpenedConnection, OpenedKafka, OpenedRegistry
from drls_dagster.errors import DrlsError
from drls_dagster.steps.sources.tally import Tally
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyspark.sql.connect.session import SparkSession

    from drls_dagster.settings import Settings


class SourceMissing(DrlsError):
    """What a source names is not there, or is not what it was when the run pinned it."""


class SourceUnreadable(DrlsError):
    """A source holds something that cannot be read as its spec says; the message names the file and the remedy."""


@dataclass(frozen=True)
class Origin:
    """What a sink's position in a source is kept by: a name for people, an id that outlives renaming."""

    name: str
    id: str


class Pin(ABC):
    """What a source is in one run, the same for all its steps (D1). `str()` of it is for people."""

    @abstractmethod
    def stored(self) -> dict[str, Any]:
        """As JSON, for the ledger. The run that resumes this one may have a later release of DRLS."""

    @property
    def origin(self) -> Origin | None:
        """None where no sink keeps a position in the source."""
        return None


def _no_connection(node: str) -> AnyOpened:
    raise DrlsError(f"node '{node}': nothing gives connections here")


def _no_session() -> SparkSession:
    raise DrlsError("nothing gives Spark here")


@dataclass(frozen=True)
class Place:
    """Where an environment's sources are looked for.

    `connection` opens what a source node names, and raises DrlsError where the run has no such connection. `session` is
    the run's own; `values` are those of its parameters.
    """

    settings: Settings
    environment: Environment
    catalog: Catalog
    connection: Callable[[str], AnyOpened] = _no_connection
    session: Callable[[], SparkSession] = _no_session
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def landing(self) -> str:
        return self.settings.landing_for(self.environment)

    def database(self, node: str, name: str) -> OpenedConnection:
        """The connection of that name to a database. Raises DrlsError."""
        found = self.connection(name)
        if not isinstance(found, OpenedConnection):
            raise SourceUnreadable(f"node '{node}': the connection '{name}' leads to {_leads(found)}")
        return found

    def kafka(self, node: str, name: str) -> OpenedKafka:
        """The connection of that name to a Kafka cluster. Raises DrlsError."""
        found = self.connection(name)
        if not isinstance(found, OpenedKafka):
            raise SourceUnreadable(f"node '{node}': the connection '{name}' leads to {_leads(found)}")
        return found

    def registry(self, node: str, name: str) -> OpenedRegistry:
        """The connection of that name to a registry of schemas. Raises DrlsError."""
        found = self.connection(name)
        if not isinstance(found, OpenedRegistry):
            raise SourceUnreadable(f"node '{node}': the connection '{name}' leads to {_leads(found)}")
        return found


def _leads(found: AnyOpened) -> str:
    match found:
        case OpenedKafka():
            return "Kafka; write kind: kafka"
        case OpenedRegistry():
            return "a registry of schemas; name it as the registry of a kafka source"
        case OpenedConnection():
            return "a database; write kind: jdbc"


class Kept(Protocol):
    """What a run remembers of one recipe of a source, for its retries and for the run that resumes it (D2)."""

    def files(self) -> list[list[Any]] | None:
        """What was kept: of each file its path, rows and bytes; None where nothing was."""
        ...

    def keep(self, files: list[list[Any]]) -> None:
        """Notes them."""
        ...


class _Nothing:
    def files(self) -> list[list[Any]] | None:
        return None

    def keep(self, files: list[list[Any]]) -> None: ...


@dataclass(frozen=True)
class Reader:
    """What reading a source needs: Spark, the place, a folder for copies, and where to say what people should know.

    `tally` takes how many rows are read; `kept` is what the run remembers of them. `files` reads those that the version
    keeps of the source. `values` are those of its parameters
    and its partition.
    """

    spark: SparkSession
    place: Place
    folder: str
    log: Callable[[str], None] = lambda _: None
    tally: Tally = field(default_factory=Tally)
    files: Callable[[], Mapping[str, bytes]] = dict
    kept: Kept = field(default_factory=_Nothing)
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
