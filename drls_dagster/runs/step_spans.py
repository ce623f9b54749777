"""The spans of a run, as its process notes them and tells the run service: kinds, names and numbers, nothing else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from annotated_types import Predicate
from pydantic import StringConstraints

from drls_dagster.traces.place import read_place
from lifecycle.domain.model import Frozen
from lifecycle.errors import DrlsError

if TYPE_CHECKING:
    from drls_dagster.runs.client import RunClient

_LOG = logging.getLogger(__name__)
SpanId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$"), Predicate(lambda text: text != "0" * 16)]
_MOST = 200


class SpanKind(StrEnum):
    """What of a run takes the time."""

    RUN = "run"
    SOURCE = "source"
    TRANSFORM = "transform"
    CHECK = "check"
    SINK = "sink"


class StepSpan(Frozen):
    """A span of a run that is over; times in nanoseconds since the epoch. `failed`: the kind of error that ended it.

    `rows`, `checks` and `failed_checks` are numbers of them, `snapshot` is one of `table`.
    """

    kind: SpanKind
    node: Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9_]*$")] = ""
    span: SpanId
    above: SpanId
    began: int
    ended: int
    failed: Annotated[str, StringConstraints(max_length=80, pattern=r"^\w*$")] = ""
    table: Annotated[str, StringConstraints(max_length=255, pattern=r"^[\w.]*$")] = ""
    snapshot: int | None = None
    rows: int | None = None
    checks: int | None = None
    failed_checks: int | None = None

    @property
    def told(self) -> dict[str, str | int]:
        """What there is of it, by name. A snapshot's id is text: collectors show numbers rounded."""
        found: dict[str, str | int | None] = {
            "node": self.node or None, "table": self.table or None, "rows": self.rows, "checks": self.checks,
            "failed_checks": self.failed_checks, "snapshot": None if self.snapshot is None else str(self.snapshot),
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}


class Facts:
    """What a step says of itself while its span is open."""

    def __init__(self) -> None:
        self.table = ""
        self.snapshot: int | None = None
        self.rows: int | None = None
        self.checks: int | None = None
        self.failed_checks: int | None = None


class StepSpans:
    """Those of one pipeline in a run, in this process. Told whenever a step is over, so that a killed run loses few."""

    def __init__(self, client: RunClient | None = None, *, is_on: bool = False) -> None:
        self._client = client if is_on else None
        self._own = read_place(self._client.trace()) if self._client is not None else None
        self._here = self._own
        self._over: list[StepSpan] = []
        self._failing = False
        self._end: Callable[[], None] = self._begin() if self._own is not None else lambda: None

    def _begin(self) -> Callable[[], None]:
        """The span of the run itself, which all others are in."""
        whole = ExitStack()
        whole.enter_context(self.span(SpanKind.RUN))
        return whole.close

    @contextmanager
    def span(self, kind: SpanKind, node: str = "") -> Iterator[Facts]:
        """Around what a step does; the block adds what it knows."""
        facts, above = Facts(), self._here
        if above is None or self._client is None:
            yield facts
            return
        way, place, began, failed = self._client.way, above.below(), time.time_ns(), ""
        self._here = way.at = place
        try:
            yield facts
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            self._here = way.at = above
            if len(self._over) < _MOST:
                self._over.append(
                    StepSpan(
                        kind=kind, node=node, span=place.span, above=above.span, began=began, ended=time.time_ns(),
                        failed=failed, **vars(facts),
                    )
                )  # fmt: skip
            if kind is not SpanKind.SOURCE and kind is not SpanKind.CHECK:
                self._tell(self._client)

    def close(self) -> None:
        """The run is over in this process."""
        self._end()
        self._own = self._here = None

    def _tell(self, client: RunClient) -> None:
        over, self._over = self._over, []
        try:
            client.tell_spans(over)
        except DrlsError as error:
            # Nothing of a run depends on its spans.
            if not self._failing:
                _LOG.warning("the run service did not take the spans of this run: %s", error)
            self._failing = True
