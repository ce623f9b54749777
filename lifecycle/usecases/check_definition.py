"""Check: everything that saving a definition would refuse, with its line, and what could be better. Saves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, Target
from lifecycle.domain.roles import Role
from lifecycle.errors import Invalid
from lifecycle.spec import PipelineSpec, Problem, SpecError, digest, parse_pipeline
from lifecycle.spec.lines import Lines
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.specs import local_commands
from lifecycle.usecases.parts.version_code import checked_code
from lifecycle.usecases.save_version import locked_with_code


class Flaw(Frozen):
    """What saving would refuse: `node` None means the pipeline itself, `remedy` what to write instead."""

    message: str
    line: int | None = None
    node: str | None = None
    field: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        return str(Problem(self.node, self.field, self.message, self.remedy))


class Checked(Frozen):
    """`version` is the one that has this content already; `hints` are advice, and refuse nothing."""

    valid: bool
    name: str | None = None
    digest: str | None = None
    version: int | None = None
    problems: tuple[Flaw, ...] = ()
    hints: tuple[str, ...] = ()


def check_definition(
    ctx: Context, actor: Actor, text: str, *, code: Mapping[str, bytes] | None = None, lines: bool = True
) -> Checked:
    """Raises Forbidden for who may not save this pipeline.

    `code` are the files of its local code by path, as in `save_version`. `lines`: it is its author's own text.
    """
    try:
        spec = parse_pipeline(text)
    except SpecError as error:
        return _wrong(text if lines else "", None, error.problems)
    try:
        locked, files = locked_with_code(ctx, spec, code)
    except SpecError as error:
        return _wrong(text if lines else "", spec.name, error.problems)
    with ctx.store.read() as view:
        problems = list(_refused(view, actor, locked))
        try:
            checked_code(view, locked, files)
        except Invalid as error:
            problems.append(Problem(None, None, error.message))
        if problems:
            return _wrong(text if lines else "", spec.name, problems)
        pipeline = view.pipelines.find(spec.name)
        known = view.pipelines.with_digest(pipeline.id, digest(locked)) if pipeline else None
    return Checked(
        valid=True,
        name=spec.name,
        digest=digest(locked),
        version=known and known.number,
        hints=tuple(_hints(locked)),
    )


def _wrong(text: str, name: str | None, problems: tuple[Problem, ...] | list[Problem]) -> Checked:
    lines = Lines(text)
    flaws = [
        Flaw(line=lines.of(one), node=one.node, field=one.field, message=one.message, remedy=one.remedy)
        for one in problems
    ]
    return Checked(valid=False, name=name, problems=tuple(flaws))


def _refused(view: View, actor: Actor, spec: PipelineSpec) -> Iterator[Problem]:
    """What the store says against it."""
    pipeline = view.pipelines.find(spec.name)
    if pipeline is not None and pipeline.deleted_at is not None:
        yield Problem(None, "name", f"the pipeline {spec.name} was deleted and its name stays reserved", "use another")
        return
    target = target_of(view, pipeline) if pipeline else Target(pipeline=spec.name)
    require(view, actor, Role.DATA_ENGINEER, target, "saving a pipeline")
    tables = {sink.table: sink.id for sink in spec.sinks}
    for table, owner in view.pipelines.owners(tuple(tables), but=pipeline.id if pipeline else 0).items():
        yield Problem(
            tables[table], "table", f"{table} is already written by pipeline {owner}", "write another table, or edit it"
        )


def _hints(spec: PipelineSpec) -> Iterator[str]:
    for sink in spec.sinks:
        above = (sink.id, *spec.ancestors(sink.id))
        severities = {check.severity for one in above for monitor in spec.monitors_of(one) for check in monitor.checks}
        if not severities:
            yield f"nothing checks what goes to {sink.table}: add a monitor with checks"
        elif severities == {"warn"}:
            yield f"all checks before {sink.table} only warn: bad rows would be published"
    if not spec.owners:
        yield "it has no owners: add owners, so that people know whom to ask"
    if not spec.description:
        yield "it has no description"
    if spec.schedule is None and spec.automation is None:
        yield "nothing starts it: add schedule or automation, or start each run"
    for node in local_commands(spec):
        yield f"node '{node}' runs a program that the version does not keep, so it cannot go beyond QA"
    for module in spec.lock.unresolved if spec.lock else ():
        yield (
            "its Python imports modules by names that it works out"
            if module == "*"
            else f"its Python imports {module}, which is not installed here and not among its files"
        )
