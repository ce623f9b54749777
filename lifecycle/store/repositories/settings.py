"""Settings: named values that belong to the store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from lifecycle.domain.model import Frozen
from lifecycle.errors import Conflict
from lifecycle.store.tables_people import SettingRow
from lifecycle.store.tx import Tx, by

_SETTING = by(SettingRow, "name")


class Setting(Frozen):
    """A named value with a revision for compare-and-set."""

    name: str
    revision: int
    value: dict[str, Any]


class Settings:
    """Values that belong to the store."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def find(self, name: str) -> Setting | None:
        return self._tx.prepared(Setting, _SETTING, name=name)

    def put(self, name: str, value: dict[str, Any], expected: int | None = None) -> Setting:
        """Sets a value; with `expected`, only when its revision is that (0: not set yet)."""
        known = self.find(name)
        revision = known.revision if known else 0
        if expected is not None and expected != revision:
            raise Conflict(
                f"{name} has changed in the meantime (revision {revision}, not {expected}); reload it and try again"
            )
        if known is None:
            self._tx.insert(SettingRow, name=name, revision=1, value=value)
        else:
            self._tx.update(
                update(SettingRow).where(SettingRow.name == name).values(value=value, revision=revision + 1)
            )
        return Setting(name=name, revision=revision + 1, value=value)
