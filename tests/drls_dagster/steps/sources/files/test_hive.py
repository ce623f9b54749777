"""The values of Hive folders are wholly values of their column's type, or refused by folder and file (finding 24)."""

from __future__ import annotations

import pytest

from drls_dagster.steps.sources.files.hive import folders_of
from drls_dagster.steps.sources.pins import SourceUnreadable

# Type, what is a value of it, and what is none: Spark took `10:30` for today's, `5d` for 5.0.
DECLARED = [
    ("double", ["1.5", "-2", "1e3", "NaN", "-Infinity", ".5"], ["5d", "0x10", "1_0", "", "1,5"]),
    ("float", ["1.5", "Infinity"], ["5f", "x"]),
    ("decimal(5,1)", ["1.5", "2", "-9999.9", "1e2"], ["1.26", "1,5", "12345", "NaN", "x"]),
    ("boolean", ["true", "FALSE"], ["yes", "t", "1"]),
    ("timestamp", ["2024-01-31", "2024-01-31 10:30:00", "2024-01-31T10:30:00Z", "2024-01-31 10:30:00+05:30"],
     ["10:30", "2024", "2024-01", "T10:30", "2024-02-30"]),
    ("timestamp_ntz", ["2024-01-31", "2024-01-31 10:30"], ["10:30", "2024-01-31T10:30:00Z"]),
    ("date", ["2024-01-31"], ["2024-1-5", "2024-01-31 10:00:00", "2024"]),
    ("int", ["007", "-5", "+3"], ["2147483648", "1.0", "x"]),
    ("long", ["007", "9223372036854775807"], ["9223372036854775808", "1e3"]),
    ("string", ["10:30", "null", "%", "a%zz", " "], []),
    ("binary", [], ["x"]),
]  # fmt: skip


def quoted(text: str) -> str:
    return text.replace("%", "%25").replace("/", "%2F")


@pytest.mark.parametrize(("kind", "good", "bad"), DECLARED)
def test_a_folder_s_value_is_wholly_a_value_of_the_declared_type(kind: str, good: list[str], bad: list[str]) -> None:
    for text in good:
        file = f"k={quoted(text)}/a.csv"
        assert folders_of("raw", [file], "", {"k": kind}).values[file] == {"k": text}
    for text in bad:
        with pytest.raises(SourceUnreadable, match=r"k=.*/a\.csv"):
            folders_of("raw", [f"k={quoted(text)}/a.csv"], "", {"k": kind})


def test_escapes_of_a_folder_that_are_not_utf_8_are_no_other_character() -> None:
    """`%FF` was the replacement character."""
    with pytest.raises(SourceUnreadable, match=r"the folder 'k=%FF' of k=%FF/a\.csv escapes bytes that are not UTF-8"):
        folders_of("raw", ["k=%FF/a.csv"], "", {})
    assert folders_of("raw", ["k=\ufffd%20%/a.csv"], "", {}).values["k=\ufffd%20%/a.csv"] == {"k": "\ufffd %"}
