"""A catalog that counts what is loaded from it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table


class CountingCatalog(SqlCatalog):
    """The platform's catalog. It counts, by table, what the platform loads and what PyIceberg loads inside of a commit."""

    def __init__(self, to: Catalog) -> None:
        super().__init__(to.name, **to.properties)
        self.loads: Counter[str] = Counter()
        self.in_commits: Counter[str] = Counter()
        self._committing = False

    def load_table(self, identifier: Any) -> Table:
        found = super().load_table(identifier)
        (self.in_commits if self._committing else self.loads)[found.name()[-1]] += 1
        return found

    def commit_table(self, *given: Any) -> Any:
        self._committing = True
        try:
            return super().commit_table(*given)
        finally:
            self._committing = False
