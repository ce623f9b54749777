"""Whether a promotion to production moves refs or deploys code alone, with the reason (L4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from lifecycle.domain.model import Frozen
from lifecycle.domain.plan import Carry
from lifecycle.domain.run import InputRead


class CarryDecision(Frozen):
    """The choice and, in words, why."""

    carry: Carry
    reason: str


def choose_carry(
    *,
    moves_data: bool,
    tables: Sequence[str],
    separate: Mapping[str, str],
    inputs: Sequence[InputRead],
    on_main: Mapping[tuple[str, int], bool],
    candidates: Mapping[str, int],
    target_fingerprints: Mapping[str, str],
    next_target_run: datetime | None,
    expires_at: datetime,
) -> CarryDecision:
    """Snapshot carry only where the result is what production would have made itself.

    `separate` names tables that cannot move by ref, with the reason (another catalog, a metadata
    change that needed a table of its own). `on_main` is by (table, snapshot). `target_fingerprints`
    is by node.
    """
    if not moves_data:
        return _code("only production takes over data; here the branches start fresh off main")
    if not tables:
        return _code("the pipeline has no tables to carry")
    for table in tables:
        if table in separate:
            return _code(f"{table}: {separate[table]}")
    for read in inputs:
        if read.snapshot is not None:
            promoted = candidates.get(read.name) == read.snapshot
            if not promoted and not on_main.get((read.name, read.snapshot), False):
                return _code(f"{read.node} read {read.name} at {read.snapshot}, which is not on its main")
        elif read.fingerprint != target_fingerprints.get(read.node):
            return _code(f"{read.node} read {read.name} from another place than production does")
    if next_target_run is not None and next_target_run < expires_at:
        return _code(
            f"production writes these tables again at {next_target_run:%Y-%m-%d %H:%M} UTC, before the request expires"
        )
    return CarryDecision(
        carry=Carry.SNAPSHOT, reason="every input is production's own: what was looked at becomes production"
    )


def _code(why: str) -> CarryDecision:
    return CarryDecision(carry=Carry.CODE, reason=why)
