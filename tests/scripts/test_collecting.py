"""A run with `-m` leaves files unread that have nothing for it, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import collecting

TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("expression", "markers"),
    [
        ("engine and not slow and not postgres", ["engine"]),
        ("slow and not engine", ["slow"]),
        ("not slow", []),
        ("kafka or slow", []),
        ("not (kafka and slow)", []),
        ("", []),
    ],
)
def test_what_every_test_of_a_selection_has(expression: str, markers: list[str]) -> None:
    assert collecting.asked_for(expression) == markers


def test_a_marker_comes_from_the_file_a_conftest_or_a_helper() -> None:
    assert collecting.may_hold(TESTS / "engine" / "test_runs.py", "engine")  # its conftest.py
    assert collecting.may_hold(TESTS / "security" / "test_edited_rows.py", "postgres")  # what its conftest.py imports
    assert collecting.may_hold(TESTS / "engine" / "kafka", "kafka")  # a folder
    assert not collecting.may_hold(TESTS / "docs", "kafka")


def test_what_would_be_left_out_by_mistake_is_named() -> None:
    tests = [(TESTS / "docs" / "test_reference.py", "test_that", {"kafka", "tables"})]

    assert collecting.missed(tests) == ["test_that: has the marker kafka, but no file that it reads says `mark.kafka`"]
