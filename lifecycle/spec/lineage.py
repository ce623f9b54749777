"""Which columns of which nodes decide each column of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def column_lineage(sql: str, columns: Mapping[str, Sequence[str]]) -> dict[str, tuple[tuple[str, str], ...]]:
    return {}
