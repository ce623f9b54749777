"""What a source is pinned to, and the errors of one that is not there or cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import DrlsError

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

    from drls_dagster.settings import Settings

Pin = dict[str, Any]


class SourceMissing(DrlsError):
    """What a source names is not there, or is not what it was when the run pinned it."""


class SourceUnreadable(DrlsError):
    """A source holds something that cannot be read as its spec says; the message names the file and the remedy."""


@dataclass(frozen=True)
class Place:
    """Where an environment's sources are looked for."""

    settings: Settings
    environment: str

    @property
    def landing(self) -> str:
        return self.settings.landing_for(self.environment)


@dataclass(frozen=True)
class Reader:
    """What reading a source needs: Spark, the place, a folder for copies, and where to say what people should know."""

    spark: SparkSession
    place: Place
    folder: str
    log: Callable[[str], None] = lambda _: None
