"""How large a table's data files are meant to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.table import Table

TARGET = "write.target-file-size-bytes"
DEFAULT_TARGET = 512 * 2**20  # Iceberg's own


def given_target(table: Table) -> int | None:
    """The bytes that the table's own property says. Raises ValueError where that is not a number above zero."""
    said = table.properties.get(TARGET)
    if said is None:
        return None
    if not said.isdecimal() or int(said) == 0:
        raise ValueError(f"the property {TARGET} is '{said}', which is no number of bytes")
    return int(said)


def target_bytes(table: Table) -> int:
    """What the table's property says, or Iceberg's default where it says nothing that can be used."""
    try:
        return given_target(table) or DEFAULT_TARGET
    except ValueError:
        return DEFAULT_TARGET
