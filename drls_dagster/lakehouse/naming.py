"""Where a table of a pipeline lives in each environment: the one function that says it."""

from __future__ import annotations

from dataclasses import dataclass

from drls_dagster.errors import UsageError
from lifecycle.domain.environment import Environment

ENVIRONMENTS = ("development", "qa", "uat", "production")
MAIN = "main"
_RESERVED_ENDINGS = tuple(f"__{environment}" for environment in ENVIRONMENTS)


@dataclass(frozen=True)
class TableLocation:
    """An Iceberg table and the branch of it that belongs to an environment."""

    identifier: tuple[str, ...]
    ref: str

    @property
    def name(self) -> str:
        """The identifier as people write it, `namespace.table`."""
        return ".".join(self.identifier)


def table_location(environment: Environment, table: str) -> TableLocation:
    """Where `table` (`namespace.table`, as a pipeline names it) is in `environment`.

    Development has tables of its own in `<namespace>__development`; QA and UAT are branches of the
    real table, production is its `main`. Raises UsageError for an unknown environment, a name
    without a namespace, and a namespace that is itself one of an environment.
    """
    if environment not in ENVIRONMENTS:
        raise UsageError(f"there is no environment {environment!r}; choose from: {', '.join(ENVIRONMENTS)}")
    parts = split_table_name(table)
    *outer, namespace, name = parts
    if is_environments_own(table):
        raise UsageError(f"{table!r} already names an environment's own table; omit the environment")
    if environment == Environment.DEVELOPMENT:
        return TableLocation((*outer, f"{namespace}__development", name), MAIN)
    # Iceberg and Dagster take a plain text, and no enum.
    return TableLocation(parts, MAIN if environment == Environment.PRODUCTION else str(environment))


def separate_location(environment: Environment, table: str) -> TableLocation | None:
    """The table of its own that QA or UAT uses where a branch of the real one cannot hold the result (D10).

    None where an environment has none: development's tables are its own, production's are the real ones.
    """
    location = table_location(environment, table)
    if location.ref == MAIN:
        return None
    *outer, namespace, name = location.identifier
    return TableLocation((*outer, f"{namespace}__{environment}", name), str(environment))


def is_environments_own(table: str) -> bool:
    """Whether `table` is the name of a table that belongs to one environment, not of the real one."""
    *_, namespace, _ = split_table_name(table)
    return namespace.endswith(_RESERVED_ENDINGS)


def split_table_name(table: str) -> tuple[str, ...]:
    """The parts of `namespace.table`. Raises UsageError where one is missing or empty."""
    parts = tuple(table.split("."))
    if len(parts) < 2 or not all(parts):
        raise UsageError(f"{table!r} is not a table name; write namespace.table")
    return parts
