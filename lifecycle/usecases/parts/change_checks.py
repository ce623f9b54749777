"""What a change of a table by hand asks for: the role, names that are free, and nobody who needs what goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lifecycle.domain.checklist import Check, fulfilled
from lifecycle.domain.environment import Environment
from lifecycle.domain.evolution import (
    LAYOUTS,
    MOVES,
    REFS,
    AddColumn,
    Change,
    ChangeFacts,
    ColumnUse,
    FastForward,
    RollBack,
    SetNullable,
    SetSortOrder,
)
from lifecycle.domain.people import Actor
from lifecycle.errors import Invalid
from lifecycle.spec import PipelineSpec
from lifecycle.spec.column_uses import column_uses
from lifecycle.spec.sinks import SinkNode
from lifecycle.store.unit import View
from lifecycle.usecases.parts.activation import execution_check
from lifecycle.usecases.parts.table_users import TableUser, deployed, lead_checks, specs_of, table_users
from lifecycle.usecases.parts.visible import sees
from lifecycle.usecases.parts.visible_tables import real_name

_SESSIONS = (Environment.QA, Environment.UAT)
_HIDDEN = "a pipeline that you may not see"


@dataclass(frozen=True, slots=True)
class Judged:
    """What the lifecycle says to a change, and which deployed versions use the column."""

    checks: tuple[Check, ...]
    uses: tuple[ColumnUse, ...]
    warnings: tuple[str, ...]
    governed: bool


def judge(
    view: View, actor: Actor, facts: ChangeFacts, change: Change, *, reason: str, accept_untraced: bool, planning: bool
) -> Judged:
    """Asked before the change, and again in the transaction that notes it. `planning`: no reason is needed yet."""
    name = facts.table
    users = table_users(view, name)
    where = deployed(users, name)
    specs = specs_of(view, [one for one, _ in where])
    writers = [(one, environment) for one, environment in where if one.writes]
    governed = any(environment is Environment.PRODUCTION for _, environment in writers)
    uses = _uses(view, actor, facts, where, specs)
    lead = lead_checks(view, actor, users, f"changing {name}")
    if not fulfilled(lead) and not all(sees(view, actor, one.pipeline_id) for one, _ in where):
        # The other checks name pipelines.
        return Judged(lead, uses, (), governed)
    checks = [
        *lead,
        *_ref_checks(change, name, writers, governed=governed),
        *_layout_checks(change, facts, writers, specs),
        *_use_checks(change, facts, uses, writers, accept_untraced=accept_untraced),
        *(_executing(view, actor, writers) if facts.lines else ()),
    ]
    if governed and not reason.strip() and not planning:
        checks.append(Check(False, f"{name} is production's: a change by hand needs a reason", Invalid))
    return Judged(tuple(checks), uses, tuple(_warnings(view, actor, change, where)), governed)


def _uses(
    view: View,
    actor: Actor,
    facts: ChangeFacts,
    where: Sequence[tuple[TableUser, Environment]],
    specs: dict[str, PipelineSpec],
) -> tuple[ColumnUse, ...]:
    if facts.column is None:
        return ()
    found: dict[ColumnUse, None] = {}
    for one, environment in where:
        spec = specs.get(one.digest)
        for use in column_uses(spec, real_name(facts.table), facts.column) if spec else ():
            seen = sees(view, actor, one.pipeline_id)
            found[
                ColumnUse(
                    pipeline=one.pipeline if seen else _HIDDEN,
                    version=one.version,
                    environment=environment,
                    how=use.how if seen else "uses it",
                    certain=use.certain,
                )
            ] = None
    return tuple(sorted(found, key=lambda use: (not use.certain, -use.environment.rank, use.pipeline)))


def _use_checks(
    change: Change,
    facts: ChangeFacts,
    uses: Sequence[ColumnUse],
    writers: Sequence[tuple[TableUser, Environment]],
    *,
    accept_untraced: bool,
) -> Iterator[Check]:
    certain = [use for use in uses if use.certain]
    column = f"column {facts.column} of {facts.table}"
    if certain:
        others = len(dict.fromkeys((use.pipeline, use.version, use.environment) for use in certain)) - 1
        more = f" (and {others} more deployed version{'' if others == 1 else 's'})" if others else ""
        yield Check(
            False,
            f"{column} is still used: {certain[0].words}{more}; deploy a version that does without it first",
        )
    elif uses and not accept_untraced:
        yield Check(
            False,
            f"{column} may still be used: {uses[0].words}; check that code, then say --accept-untraced "
            "(accept_untraced)",
        )
    elif facts.column is not None:
        yield Check(True, f"no deployed version uses {column}")
    if isinstance(change, SetNullable) and not change.nullable and writers:
        one, environment = writers[0]
        yield Check(
            False,
            f"{facts.table} is written by {one.pipeline} v{one.version}, deployed in {environment.label}: runs write "
            "optional columns only, and a required one would stop them",
        )


def _ref_checks(
    change: Change, name: str, writers: Sequence[tuple[TableUser, Environment]], *, governed: bool
) -> Iterator[Check]:
    if not isinstance(change, REFS):
        return
    ref = change.ref
    plain = ref.casefold()
    if plain.startswith("drls"):
        yield Check(False, f"{ref}: DRLS keeps branches and tags of its own under names that begin with drls")
    elif plain in {one.value for one in Environment}:
        pipeline = next((one.pipeline for one, _ in writers), "PIPELINE")
        command = f"drls session new {pipeline} --env {plain}" if plain in _SESSIONS else "another name"
        yield Check(
            False,
            f"{ref} is the name of an environment, whose branch only the lifecycle moves: use {command}",
        )
    elif plain == "main" and ref == "main":
        if not isinstance(change, MOVES):
            yield Check(False, "main is what the table is and can be neither made nor dropped")
        elif governed:
            one = next(one for one, environment in writers if environment is Environment.PRODUCTION)
            yield Check(False, _by_lifecycle(change, name, one))
    elif not ref.replace("-", "").replace("_", "").replace(".", "").isalnum() or not ref.isascii():
        yield Check(False, f"{ref!r} cannot be the name of a branch or tag: use letters, digits, -, _ and .", Invalid)
    elif ref.isdigit():
        yield Check(False, f"{ref} would read like a snapshot; give the branch or tag a name with a letter", Invalid)


def _by_lifecycle(change: RollBack | FastForward, name: str, one: TableUser) -> str:
    why = f"main of {name} is production's, written by {one.pipeline} v{one.version}"
    if isinstance(change, RollBack):
        return f"{why}: roll the release back with its data: drls rollback {one.pipeline} --data --plan"
    return f"{why}: only a promotion moves it: drls promote {one.pipeline} --to production"


def _layout_checks(
    change: Change,
    facts: ChangeFacts,
    writers: Sequence[tuple[TableUser, Environment]],
    specs: dict[str, PipelineSpec],
) -> Iterator[Check]:
    """A run lays its table out as its version says: what is changed by hand would not last until the next one."""
    if not isinstance(change, LAYOUTS) or facts.layout is None:
        return
    what = "sort order" if isinstance(change, SetSortOrder) else "partitioning"
    for one, environment in writers:
        if environment in _SESSIONS:
            continue  # they change no layout of the real table, and a promotion says what it changes
        spec = specs.get(one.digest)
        sink = next((sink for sink in spec.sinks if sink.table == real_name(facts.table)), None) if spec else None
        if sink is None:
            continue
        said = layout_of(sink, what)
        same = said == _lower(facts.layout) if what == "sort order" else sorted(said) == sorted(_lower(facts.layout))
        if not same:
            shown = f"[{', '.join(said)}]" if said else "none"
            yield Check(
                False,
                f"{one.pipeline} v{one.version}, deployed in {environment.label}, lays {facts.table} out itself "
                f"({what}: {shown}), and its next run would undo this: change sink '{sink.id}' and release it",
            )


def layout_of(sink: SinkNode, what: str) -> list[str]:
    """What a sink says of its table's sort order or partitioning, in the words of a change."""
    if what == "sort order":
        return _lower([f"{one.column}{'' if one.order == 'asc' else ' desc'}" for one in sink.sort_by])
    return _lower(
        one.column
        if one.transform == "identity"
        else f"{one.transform}({f'{one.argument}, ' if one.argument is not None else ''}{one.column})"
        for one in sink.partition_by
    )


def _lower(texts: Sequence[str] | Iterator[str]) -> list[str]:
    return [text.lower() for text in texts]


def _executing(view: View, actor: Actor, writers: Sequence[tuple[TableUser, Environment]]) -> Iterator[Check]:
    for pipeline in dict.fromkeys(one.pipeline_id for one, _ in writers):
        check = execution_check(view, view.pipelines.get(pipeline), *Environment)
        if not check.ok:
            yield check


def _warnings(
    view: View,
    actor: Actor,
    change: Change,
    where: Sequence[tuple[TableUser, Environment]],
) -> Iterator[str]:
    if isinstance(change, AddColumn):
        for one, environment in where:
            if not one.writes and sees(view, actor, one.pipeline_id):
                yield f"{one.pipeline} v{one.version} reads it in {environment.label}: SELECT * has the column too"
    if isinstance(change, RollBack):
        readers = [one for one, _ in where if not one.writes and sees(view, actor, one.pipeline_id)]
        for name in dict.fromkeys(one.pipeline for one in readers):
            yield f"{name} reads it: what it has read of the snapshots that go stays there"
