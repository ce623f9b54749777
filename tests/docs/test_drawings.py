"""The drawings of docs/design.md agree with the code."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from lifecycle.domain import promotion as life
from lifecycle.domain.promotion import Promotion, State
from lifecycle.errors import Conflict

DESIGN = Path(__file__).parents[2] / "docs" / "design.md"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHANGES: tuple[life.Change, ...] = (
    life.Approved(at=NOW),
    life.Reopened(now=NOW),
    life.Ended(state=State.REJECTED, outcome="", at=NOW),
    life.Ended(state=State.WITHDRAWN, outcome="", at=NOW),
    life.Ended(state=State.EXPIRED, outcome="", at=NOW),
    life.Started(executor="a", lease_until=NOW, now=NOW),
    life.Finished(executor="a", at=NOW),
    life.Broken(executor="a", outcome=""),
    life.Undone(executor="a", state=State.STALE, outcome="", at=NOW),
)


def ways(state: State) -> set[tuple[str, str]]:
    """Where each change leads from a state that an executor may hold."""
    found = set()
    for change in CHANGES:
        request = Promotion.model_construct(id=1, revision=1, state=state, executor="a", lease_until=None, outcome="")
        try:
            found.add((state.value, life.apply(request, change).state.value))
        except Conflict:
            continue
    return found


def test_l8_the_drawing_of_a_request_has_every_state_and_only_ways_that_the_code_allows() -> None:
    (drawing,) = re.findall(r"^stateDiagram-v2\n(.*?)^```", "\n".join(_mermaid()), re.DOTALL | re.MULTILINE)
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)", drawing, re.MULTILINE))
    allowed = {way for state in State for way in ways(state)}
    assert drawn - allowed == set()
    assert {end for way in drawn for end in way} == {state.value for state in State}
    # The rest are variants: a failed execution can be ended, and an executing request without a lease reopened.
    assert allowed - drawn == {
        ("failed", "rejected"),
        ("failed", "withdrawn"),
        ("failed", "expired"),
        ("executing", "requested"),
    }


def _mermaid() -> list[str]:
    return [
        line
        for block in re.findall(r"^```mermaid\n(.*?^```)", DESIGN.read_text(), re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
