"""Where a table of a pipeline lives in each environment: the one function that says it."""

from __future__ import annotations

from dataclasses import dataclass

from drls_dagster.errors import UsageError

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


def table_location(environment: str, table: str) -> TableLocation:
    """Where `table` (`namespace.table`, as a pipeline names it) is in `environment`.

    Development has tables of its own in `<namespace>__development`; QA and UAT are branches of the
    real table, production is its `main`. Raises UsageError for an unknown environment, a name
    without a namespace, and a namespace that is itself one of an environment.
    """
    if environment not in ENVIRONMENTS:
        raise UsageError(f"Unknown environment {environment!r}. Choose from: {', '.join(ENVIRONMENTS)}.")
    parts = split_table_name(table)
    *outer, namespace, name = parts
    if namespace.endswith(_RESERVED_ENDINGS):
        raise UsageError(f"{table!r} already names an environment's own table; leave the environment out.")
    if environment == "development":
        return TableLocation((*outer, f"{namespace}__development", name), MAIN)
    return TableLocation(parts, MAIN if environment == "production" else environment)


def split_table_name(table: str) -> tuple[str, ...]:
    """The parts of `namespace.table`. Raises UsageError where one is missing or empty."""
    parts = tuple(table.split("."))
    if len(parts) < 2 or not all(parts):
        raise UsageError(f"{table!r} is no table name. Write namespace.table.")
    return parts
