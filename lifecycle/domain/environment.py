"""Environments in their order, and the moves between them."""

from __future__ import annotations

from enum import StrEnum


class Environment(StrEnum):
    """Where a version can be active."""

    DEVELOPMENT = "development"
    QA = "qa"
    UAT = "uat"
    PRODUCTION = "production"

    @property
    def label(self) -> str:
        """What people call it; addresses, arguments and what is stored have the value."""
        return self.value.upper() if self in (Environment.QA, Environment.UAT) else self.value

    @property
    def rank(self) -> int:
        return _ORDER.index(self)

    @property
    def before(self) -> Environment | None:
        """The environment that a version comes from when it is promoted here."""
        return _ORDER[self.rank - 1] if self.rank else None

    @property
    def after(self) -> Environment | None:
        """The environment that a version is promoted to from here."""
        return _ORDER[self.rank + 1] if self.rank + 1 < len(_ORDER) else None

    @property
    def governed(self) -> bool:
        """Whether being active here needs an approval, or the label *unreviewed*."""
        return self in (Environment.UAT, Environment.PRODUCTION)

    @property
    def needs_evidence(self) -> bool:
        """Whether a promotion to here shows what ran in the environment before."""
        return self.governed

    @property
    def has_sessions(self) -> bool:
        """Whether data is written to branches that start fresh off main (D9)."""
        return self in (Environment.QA, Environment.UAT)

    @property
    def ref(self) -> str:
        """The Iceberg ref that runs of this environment publish to."""
        return self.value if self.has_sessions else "main"


_ORDER = (Environment.DEVELOPMENT, Environment.QA, Environment.UAT, Environment.PRODUCTION)


class Stage(StrEnum):
    """The stage of a version: its highest active environment, else superseded or retired (L1)."""

    DEVELOPMENT = "development"
    QA = "qa"
    UAT = "uat"
    PRODUCTION = "production"
    SUPERSEDED = "superseded"
    RETIRED = "retired"


def stage_of(active: frozenset[Environment], *, retired: bool) -> Stage:
    """The stage of a version that is active in `active`; `retired` says how its last production use ended."""
    if active:
        return Stage(max(active, key=lambda environment: environment.rank).value)
    return Stage.RETIRED if retired else Stage.SUPERSEDED
