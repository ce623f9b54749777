"""What a source kind is: how its sources are pinned, read and followed. One file per kind, listed in `kinds`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.positions import At, Read
from drls_dagster.steps.sources.pins import Pin, Place, Reader
from lifecycle.domain.environment import Environment
from lifecycle.domain.run import InputRead
from lifecycle.ports import DataPlane
from lifecycle.spec import SinkNode

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyspark.sql import DataFrame

    from drls_dagster.ledger import PublishRecord

SourceT = TypeVar("SourceT")
PinT = TypeVar("PinT", bound=Pin)
Mark = int | str | None  # where a watched source is now; None: there is nothing in it


@dataclass(frozen=True)
class Standing:
    """The sink that a source is read for: its table, the snapshot it starts from, and its earlier publishes."""

    sink: SinkNode
    table: Table | None
    base: int | None
    published: Callable[[], Sequence[PublishRecord]]


class Look(Protocol):
    """What the sensor of new data has for looking at sources."""

    @property
    def environment(self) -> Environment: ...

    @property
    def plane(self) -> DataPlane: ...

    def item(self, name: str) -> AbstractContextManager[None]:
        """Around a look at one source: what fails is kept for this source, and the others are still looked at."""
        ...

    def heads(self, tables: Iterable[str]) -> Mapping[str, int | None]:
        """The heads of Iceberg tables, as the runs of the environment read them. A table that fails is left out."""
        ...


class SourceKind(ABC, Generic[SourceT, PinT]):
    """The sources of one class of the spec. Keeps nothing between calls; `node` is for messages."""

    @abstractmethod
    def pin(self, node: str, source: SourceT, place: Place) -> PinT:
        """What the source is in a run that begins now. Raises SourceMissing or SourceUnreadable."""

    @abstractmethod
    def pinned(self, stored: Mapping[str, Any]) -> PinT:
        """The pin that was `stored`, by whichever release. Raises KeyError where another kind stored it."""

    @abstractmethod
    def read(self, reader: Reader, node: str, source: SourceT, pin: PinT, between: Read) -> DataFrame:
        """The rows of the pinned source, between two positions where the kind has any."""

    def position(self, source: SourceT, pin: PinT, place: Place, standing: Standing | None) -> Read:
        """Between which positions a sink reads. Raises DrlsError where its last position cannot be continued from."""
        return Read(None, None)

    def refuse_changed(self, node: str, pin: PinT) -> None:
        """Raises SourceMissing where the source is no longer what was pinned, and Spark would read it as it is (D1)."""

    def explain(self, error: BaseException, node: str, source: SourceT, pin: PinT, folder: str) -> DrlsError | None:
        """What Spark raised while it read the source, in words; None where that is about something else."""
        return None

    def receipt(
        self, node: str, source: SourceT, pin: PinT, end: At | None, fingerprint: Callable[[], str | None]
    ) -> InputRead:
        """What the receipt says of the source; `fingerprint` is asked of kinds that are no tables."""
        return InputRead(node=node, name=node, fingerprint=fingerprint())

    def refused(self, source: SourceT) -> str | None:
        """What this release cannot do of what the spec says, and the remedy; None where it can do all."""
        return None

    def ui_kinds(self, source: SourceT) -> set[str]:
        """The kinds of its asset in Dagster."""
        return {getattr(source, "kind", "")}

    def watched(self, source: SourceT) -> str | None:
        """What to watch for new data, by a name that no other kind uses; None where none is to be expected."""
        return None

    def marks(self, names: Iterable[str], look: Look) -> Mapping[str, Mark]:
        """Where each source is now. A source that could not be looked at is left out, and starts nothing."""
        return {}

    def changed(self, name: str, before: Mark, now: Mark, look: Look) -> bool:
        """Whether there is new data behind `before`, which is another mark than `now`."""
        return True
