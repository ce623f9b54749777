"""Commands and dbt: what follows a command needs columns, and reported checks need names of their own."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.spec.custom import CustomTransform
from lifecycle.spec.dbt import DbtTransform
from lifecycle.spec.errors import Problem
from lifecycle.spec.pipeline import PipelineSpec

MAX_ARGUMENTS = 1000


def rules(spec: PipelineSpec) -> Iterator[Problem]:
    for node in spec.transforms:
        if isinstance(node, CustomTransform):
            yield from _command(spec, node)
        if isinstance(node, CustomTransform | DbtTransform):
            yield from _checks(spec, node)


def _command(spec: PipelineSpec, node: CustomTransform) -> Iterator[Problem]:
    followers = spec.downstream(node.id)
    if followers and node.output_schema is None:
        message = f"'{followers[0]}' needs the columns of this step, which declares none"
        yield Problem(node.id, "output_schema", message, "list the columns that the command writes")
    if len(node.command) > MAX_ARGUMENTS:
        yield Problem(node.id, "command", f"it has more than {MAX_ARGUMENTS} arguments", "put them into a file")


def _checks(spec: PipelineSpec, node: CustomTransform | DbtTransform) -> Iterator[Problem]:
    monitors = spec.monitors_of(node.id)
    taken = {
        f"{monitor.id}_{check.name}" if len(monitors) > 1 else check.name
        for monitor in monitors
        for check in monitor.checks
    }
    for name in node.checks:
        if name in taken:
            yield Problem(node.id, "checks", f"a monitor's check has the name '{name}' too", "rename one of them")
