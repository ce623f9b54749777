"""Positions in tables of databases: up to which value of a column a sink has read one, as text (D4)."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from drls_dagster.lakehouse.positions import PositionLost

Kind = Literal["number", "date", "timestamp", "timestamp_ntz"]
PREFIX = "jdbc:"  # how the ids of such sources begin
VALUE = re.compile(r"-?\d+(\.\d+)?|\d{4}-\d\d-\d\d([ T]\d\d:\d\d:\d\d(\.\d{1,6})?)?")


@dataclass(frozen=True)
class Order:
    """What rows are followed by: a column of a kind. `of` is its table, or empty for a query, which may change."""

    column: str
    kind: Kind
    of: str


@dataclass(frozen=True)
class ColumnPosition:
    """`value` and all below it are read, of which `rows` have just this value. Instants are in UTC.

    What a person has decided says the value and no more.
    """

    value: str
    order: Order | None = None
    rows: int | None = None

    @property
    def text(self) -> str:
        """As JSON, the same text for the same position."""
        known = {"value": self.value, "rows": self.rows, **(asdict(self.order) if self.order else {})}
        return json.dumps({name: value for name, value in known.items() if value is not None}, sort_keys=True)


def position_from(text: str) -> ColumnPosition:
    """What `text` was written from."""
    known = json.loads(text)
    order = Order(known["column"], known["kind"], known["of"]) if "column" in known else None
    return ColumnPosition(known["value"], order, known.get("rows"))


def comparable(kind: Kind, value: str) -> Decimal | date | datetime:
    """The value as one that has an order. Raises ValueError for text of another kind."""
    if not VALUE.fullmatch(value):
        raise ValueError(value)
    if kind == "number":
        if re.search(r".-|:", value):
            raise ValueError(value)
        return Decimal(value)
    return date.fromisoformat(value) if kind == "date" else datetime.fromisoformat(value)


def ends_behind(
    was: ColumnPosition, high: ColumnPosition | None, now: Order, name: str, remedy: str
) -> tuple[ColumnPosition, ColumnPosition]:
    """Between which positions a sink at `was` reads a source that has rows up to `high`; None: it has no rows.

    Raises PositionLost where `was` says nothing about what the source is now.
    """
    before = was.order or now
    for what, one, other in (("column", before.column, now.column), ("table", before.of, now.of)):
        if one != other:
            raise PositionLost(
                f"the sink has read {name} by the {what} '{one}', and not by '{other or 'query'}', so how far it has "
                f"read that is unknown; {remedy}"
            )
    try:
        if before.kind != now.kind:
            raise ValueError
        start = comparable(now.kind, was.value)
    except ValueError:
        raise PositionLost(
            f"the sink has read {name} up to {was.value}, which is no {now.kind} as the values of '{now.column}' are; "
            f"{remedy}"
        ) from None
    same = ColumnPosition(was.value, now, was.rows)
    if high is None:
        return same, same
    if comparable(now.kind, high.value) < start:  # pyright: ignore[reportOperatorIssue]  both are of one kind
        raise PositionLost(
            f"'{now.column}' of {name} ends at {high.value}, and the sink has read it up to {was.value}: its last rows "
            "were deleted, or it was made anew or restored, and other rows may get the values that count as read; "
            f"{remedy}"
        )
    return same, high
