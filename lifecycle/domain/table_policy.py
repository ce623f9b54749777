"""What may happen to a table without being asked, and which property or setting says so."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.operations import OperationKind, Strategy


class Automatic(StrEnum):
    """AUTO: it is done where it is needed. REPORT: it is planned and reported. OFF: nobody looks."""

    AUTO = "auto"
    REPORT = "report"
    OFF = "off"


class PolicyRule(Frozen):
    """What holds for one operation. `origin` names the table property or the setting that says so, or is `default`."""

    operation: OperationKind
    automatic: Automatic
    origin: str


class TablePolicy(Frozen):
    """The policy of `table`, which is `environment`'s own. A score below `below` needs maintenance.

    Compaction is done with `strategy`, by `columns`; a sort without columns is by the table's own sort order.
    `wrong` has a line for each property that says nothing valid; as long as there is one, nothing is done
    automatically. `waits` says why nothing is done automatically now, empty where it is; `opens` is when the next
    window opens, None where none opens within a year or none is needed.
    """

    table: str
    environment: Environment
    rules: tuple[PolicyRule, ...]
    below: int
    below_origin: str
    strategy: Strategy = "binpack"
    columns: tuple[str, ...] = ()
    strategy_origin: str = "default"
    wrong: tuple[str, ...] = ()
    waits: str = ""
    opens: datetime | None = None

    @property
    def automatic(self) -> tuple[OperationKind, ...]:
        """The operations that are done where they are needed."""
        return tuple(one.operation for one in self.rules if one.automatic is Automatic.AUTO)

    @property
    def order(self) -> str:
        """How compaction orders rows, in words."""
        if self.strategy == "binpack":
            return "binpack"
        return f"{self.strategy} by {', '.join(self.columns) or 'the sort order of the table'}"

    @property
    def mode(self) -> Automatic:
        """The most that it allows of any operation."""
        return next((one for one in Automatic if one in {rule.automatic for rule in self.rules}), Automatic.OFF)


def waits_in_words(policy: TablePolicy) -> str:
    """Why nothing is done automatically now, and when the next window opens."""
    if not policy.waits or policy.opens is None:
        return policy.waits
    return f"{policy.waits}; the next one opens at {policy.opens:%Y-%m-%d %H:%M} UTC"
