"""What every kind of step and source says of itself: for people, for the rules, and to each environment."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from lifecycle.spec.base import Frozen


class Step(Frozen):
    """What steps of every kind say of themselves."""

    one_input: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The kind of step, for people."""
        return getattr(self, "step", "")

    @property
    def subject(self) -> str:
        """What the step runs, for people; empty where its code says it."""
        return getattr(self, "entrypoint", None) or ""


class LandingPath(NamedTuple):
    """A path or URI; a relative one begins at the environment's landing folder."""

    path: str


class NamedConnection(NamedTuple):
    """A connection that each environment resolves from its settings."""

    name: str


class Source(Frozen):
    """What sources of every kind say of themselves."""

    @property
    def label(self) -> str:
        """The kind of source, for people."""
        return getattr(self, "kind", "")

    @property
    def subject(self) -> str:
        """What is read, for people; empty where there is no more to say than the kind."""
        return ""

    @property
    def full(self) -> bool:
        """Whether each run reads everything again (D5), rather than continuing from a position."""
        return True

    @property
    def place(self) -> LandingPath | NamedConnection | None:
        """What each environment resolves to a place of its own (L4); None where all read the same."""
        return None

    @property
    def connections(self) -> tuple[str, ...]:
        """The names of all connections that reading it takes; the first leads to the place."""
        return (self.place.name,) if isinstance(self.place, NamedConnection) else ()
