"""Columns that runs in QA and UAT add to a real table, which all environments share: on trial until released (D10).

Noted before the table gets them, so that a run that dies leaves no unexplained column. When no version
that wanted a column is still on trial, and none of them ever came to production, it is removed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.errors import Refused
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.rounds import Round

_SETTING = "trial_columns"
# By table and column (lower case): the ids of the versions that write it in QA or UAT.
Trial = Mapping[str, Mapping[str, Sequence[int]]]


def trial_columns(view: View) -> Trial:
    """Every column that is on trial."""
    found = view.settings.find(_SETTING)
    return {} if found is None else found.value["tables"]


def note_trial(
    ctx: Context, actor: Actor, run_id: str, name: str, table: str, *, added: Iterable[str], columns: Iterable[str]
) -> None:
    """That a run is about to add `added` to `table`, and writes `columns`. Raises Refused for an unknown run."""
    new, written = {one.lower() for one in added}, {one.lower() for one in columns}
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        admission = view.runs.admission(run_id, pipeline.id)
        known = trial_columns(view).get(table, {})
    if admission is None:
        raise Refused(f"run {run_id} of {name} was not admitted; launch it through DRLS")
    version, where = admission.version_id, admission.environment.value
    if all(version in known.get(column, ()) for column in new | (written & known.keys())):
        return
    with ctx.store.write(actor, "note_trial") as unit:
        tables = {one: dict(found) for one, found in trial_columns(unit).items()}
        here = tables.setdefault(table, {})
        wanted = sorted(new | (written & here.keys()))
        fresh = [column for column in wanted if column not in here]
        for column in wanted:
            here[column] = sorted({*here.get(column, ()), version})
        unit.settings.put(_SETTING, {"tables": tables})
        number = unit.pipelines.version(version).number
        unit.audit(
            "columns.added" if fresh else "columns.written",
            f"pipeline:{name}",
            table=table,
            columns=fresh or wanted,
            version=number,
            environment=where,
        )


def remove_withdrawn(ctx: Context, actor: Actor, work: Round) -> tuple[str, ...]:
    """Takes withdrawn columns out of their tables, but for those that main has values in; `table.column` of each.

    A table that fails is kept in `work`, and the others are cleaned all the same.
    """
    with ctx.store.read() as view:
        over = {
            table: [column for column, versions in columns.items() if not _is_on_trial(view, versions)]
            for table, columns in trial_columns(view).items()
        }
        withdrawn = {
            table: [column for column in columns if not _was_released(view, trial_columns(view)[table][column])]
            for table, columns in over.items()
        }
    removed: list[str] = []
    for table, columns in over.items():
        if not columns:
            continue
        with work.item(f"table:{table}", "removing columns of withdrawn versions"):
            gone = ctx.plane.drop_columns(table, withdrawn[table]) if withdrawn[table] else ()
            removed += [f"{table}.{column}" for column in gone]
            _forget(ctx, actor, table, columns, withdrawn[table], gone)
    return tuple(removed)


def _is_on_trial(view: View, versions: Sequence[int]) -> bool:
    """Whether one of them is in QA or UAT, or a run of their pipeline may still write."""
    for version in map(view.pipelines.version, versions):
        active = (view.deployments.active(version.pipeline_id, one) for one in (Environment.QA, Environment.UAT))
        if any(one is not None and one.version_id == version.id for one in active):
            return True
        if view.runs.live_admissions(version.pipeline_id):
            return True
    return False


def _was_released(view: View, versions: Sequence[int]) -> bool:
    for version in map(view.pipelines.version, versions):
        history = view.deployments.history(version.pipeline_id, Environment.PRODUCTION)
        if any(one.version_id == version.id for one in history):
            return True
    return False


def _forget(
    ctx: Context, actor: Actor, table: str, over: Sequence[str], withdrawn: Sequence[str], gone: Sequence[str]
) -> None:
    with ctx.store.write(actor, "remove_withdrawn") as unit:
        _take_out(unit, table, over)
        if withdrawn:
            kept = [column for column in withdrawn if column not in gone]
            unit.audit("columns.removed", f"table:{table}", columns=list(gone), kept=kept)
        else:
            unit.audit("columns.released", f"table:{table}", columns=list(over))


def _take_out(unit: Unit, table: str, over: Sequence[str]) -> None:
    tables = {one: dict(found) for one, found in trial_columns(unit).items()}
    left = {column: found for column, found in tables.pop(table, {}).items() if column not in over}
    unit.settings.put(_SETTING, {"tables": {**tables, **({table: left} if left else {})}})
