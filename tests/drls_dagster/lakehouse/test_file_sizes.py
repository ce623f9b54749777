"""What a table's property for the size of its files comes to."""

from __future__ import annotations

import pytest

from drls_dagster.lakehouse.file_sizes import DEFAULT_TARGET, TARGET, given_target, target_bytes
from tests.iceberg_tables import make_table


@pytest.mark.parametrize("said", ["0", "-5", "12 MB", "1e6", "²", ""])
def test_what_is_no_size_counts_as_the_default(said: str) -> None:
    table = make_table("lab.t", {"n": [1]})
    with table.transaction() as change:
        change.set_properties({TARGET: said})  # PyIceberg could not write rows with it
    assert target_bytes(table) == DEFAULT_TARGET
    with pytest.raises(ValueError, match="is no number of bytes"):
        given_target(table)


def test_a_size_is_taken_and_none_is_the_default() -> None:
    assert target_bytes(make_table("lab.t", {"n": [1]}, properties={TARGET: "1048576"})) == 1 << 20
    plain = make_table("lab.plain", {"n": [1]})
    assert given_target(plain) is None
    assert target_bytes(plain) == DEFAULT_TARGET == 512 << 20
