"""What a source is pinned to, what reading it needs, and the errors of one that is missing or unreadable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True)
class Place:
    """Where an environment's sources are looked for."""

    settings: Settings
    environment: Environment
    catalog: Catalog

    @property
    def landing(self) -> str:
        return self.settings.landing_for(self.environment)


@dataclass(frozen=True)
class Reader:
    """What reading a source needs: Spark, the place, a folder for copies, and where to say what people should know.

    `tally` takes how many rows are read.
    """

    spark: SparkSession
    place: Place
    folder: str
    log: Callable[[str], None] = lambda _: None
    tally: Tally = field(default_factory=Tally)
