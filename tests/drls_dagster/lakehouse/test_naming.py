from __future__ import annotations

import pytest

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse.naming import ENVIRONMENTS, TableLocation, table_location
from lifecycle import spec
from lifecycle.domain.environment import Environment


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ("development", TableLocation(("flights__development", "daily"), "main")),
        ("qa", TableLocation(("flights", "daily"), "qa")),
        ("uat", TableLocation(("flights", "daily"), "uat")),
        ("production", TableLocation(("flights", "daily"), "main")),
    ],
)
def test_each_environment_has_its_place(environment: Environment, expected: TableLocation) -> None:
    assert table_location(environment, "flights.daily") == expected


def test_development_marks_the_last_level_of_a_nested_namespace() -> None:
    assert table_location("development", "eu.flights.daily").name == "eu.flights__development.daily"


@pytest.mark.parametrize("table", ["daily", "", ".daily", "flights.", "a..b"])
def test_a_name_without_namespace_or_table_is_refused(table: str) -> None:
    with pytest.raises(UsageError, match=r"namespace\.table"):
        table_location("qa", table)


def test_an_unknown_environment_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="development, qa, uat, production"):
        table_location("prod", "flights.daily")


def test_d11_a_reserved_namespace_is_refused() -> None:
    for environment in ENVIRONMENTS:
        with pytest.raises(UsageError, match="omit the environment"):
            table_location("production", f"flights__{environment}.daily")


def test_the_environments_are_those_of_the_spec() -> None:
    assert ENVIRONMENTS == spec.ENVIRONMENTS
