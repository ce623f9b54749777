"""Where a governed ref is expected to be: what was published there last, or adopted since (L15)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lifecycle.domain.environment import Environment
from lifecycle.domain.run import Drift, Receipt
from lifecycle.store.unit import View


@dataclass(frozen=True, slots=True)
class Expected:
    """`snapshot` is None where an adoption says that the ref, or its table, is rightly gone.

    `by` explains it.
    """

    snapshot: int | None
    by: Receipt | Drift

    @property
    def since(self) -> datetime | None:
        """When it was published or adopted."""
        return self.by.closed_at if isinstance(self.by, Drift) else self.by.at


def expected_head(view: View, table: str, environment: Environment) -> Expected | None:
    """None where DRLS has never published this table there."""
    receipts = view.runs.receipts_on(table, environment)
    if not receipts:
        return None
    newest = receipts[-1]
    later = [
        one
        for one in view.runs.adopted(table, environment.ref)
        if one.closed_at is not None and one.closed_at >= newest.at
    ]
    return Expected(later[-1].found, later[-1]) if later else Expected(newest.snapshot, newest)
