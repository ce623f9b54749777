"""Which sealed files production is made of, and whether they still are what was published (L15, L17)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from lifecycle.domain.environment import Environment
from lifecycle.domain.run import Drift
from lifecycle.domain.seal import Altered, Digests, Seal, SealedFile, SealedFiles, Why
from lifecycle.domain.version import Deployment
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.outbox import tell

# What one look at a table takes: the newest publishes first, and as many files of older ones, chosen by chance.
NEWEST_FILES = OLDER_FILES = 10_000
MOST_DRIFTS = 20


def live_seals(view: View, table: str) -> tuple[Seal, ...]:
    """The seals of everything that was published to production, newest first: by runs, promotions and maintenance."""
    published = view.runs.receipts_on(table, Environment.PRODUCTION)
    named: set[int] = set()
    for receipt in published:
        if receipt.promotion_id is not None:
            named.update(view.promotions.get(receipt.promotion_id).plan.receipts)
    carried = [one for one in view.runs.receipts(ids=named) if one.table_name == table] if named else []
    receipts = sorted((*published, *carried), key=lambda one: one.id, reverse=True)
    return tuple(dict.fromkeys(one.details.seal for one in receipts if one.details.seal is not None))


def _chosen(seals: Sequence[Seal]) -> list[Seal]:
    chosen: list[Seal] = []
    files = 0
    left = list(seals)
    while left and files < NEWEST_FILES:
        chosen.append(left.pop(0))
        files += chosen[-1].files
    files = 0
    while left and files < OLDER_FILES:
        chosen.append(left.pop(secrets.randbelow(len(left))))
        files += chosen[-1].files
    return chosen


def as_adopted(view: View, table: str, files: SealedFiles) -> SealedFiles:
    """The files, those that a Lead took over as they were then."""
    drifts = view.runs.adopted_files(table, Environment.PRODUCTION)
    if not drifts:
        return files
    lists = view.seals.find(one.seal for one in drifts if one.seal is not None)
    adopted = {file.path: file for one in drifts if one.seal in lists for file in lists[one.seal].files}
    return SealedFiles(tuple(adopted.get(one.path, one) for one in files.files))


def look_at_files(ctx: Context, deployment: Deployment, table: str) -> tuple[tuple[Altered, str], ...]:
    """The files that production needs and that are not as published, each with the root of a seal that names it."""
    with ctx.store.read() as view:
        chosen = view.seals.find(one.root for one in _chosen(live_seals(view, table)))
        lists = {root: as_adopted(view, table, files) for root, files in chosen.items()}
    if not lists:
        return ()
    head = ctx.plane.table(table, deployment.environment).head
    if head is None:
        return ()
    found = ctx.plane.altered(table, deployment.environment, list(lists.values()), Digests.SAMPLE, head=head)
    roots = {file.path: root for root, files in lists.items() for file in files.files}
    by_snapshot = {file.snapshot: root for root, files in lists.items() for file in files.files if file.snapshot}
    return tuple((one, roots.get(one.path) or by_snapshot.get(one.snapshot or 0, "")) for one in found)


def note_altered(
    unit: Unit, deployment: Deployment, table: str, head: int | None, found: Sequence[tuple[Altered, str]]
) -> list[Drift]:
    """Notes those that nobody knows of yet."""
    name, environment = unit.pipelines.get(deployment.pipeline_id).name, deployment.environment
    open_ones = unit.runs.open_drifts(deployment.pipeline_id, environment)
    known = {one.file for one in open_ones if one.table_name == table}
    noted: list[Drift] = []
    for one, root in found:
        if one.name in known or len(noted) + len(known - {None}) >= MOST_DRIFTS:
            continue
        noted.append(
            unit.runs.add_drift(
                environment=environment.value,
                pipeline_id=deployment.pipeline_id,
                table_name=table,
                ref=environment.ref,
                expected=None,
                found=head,
                file=one.name,
                why=one.what,
                seal=root,
            )
        )
        unit.audit("drift.found", f"pipeline:{name}", table=table, ref=environment.ref, file=one.name, reason=one.what)
        tell(unit, "drift.found", name, table=table, environment=environment.value, file=one.name)
    return noted


def present_state(ctx: Context, drift: Drift) -> tuple[SealedFile | None, Altered | None]:
    """The drifted file as it was published, and what is wrong with it now; None: nothing, or nobody needs it now."""
    with ctx.store.read() as view:
        lists = view.seals.find([drift.seal] if drift.seal else [])
        files = [as_adopted(view, drift.table_name, one) for one in lists.values()]
    head = ctx.plane.table(drift.table_name, drift.environment).head
    if head is None or not files:
        return None, None
    found = ctx.plane.altered(drift.table_name, drift.environment, files, Digests.CHANGED, head=head)
    file = next((file for one in files for file in one.files if file.name == drift.file), None)
    return file, next((one for one in found if one.name == drift.file), None)


def can_be_adopted(altered: Altered | None) -> bool:
    """A table whose file is gone or unreadable cannot be read, so there is nothing to adopt."""
    return altered is not None and altered.why in (Why.SIZE, Why.CONTENT)
