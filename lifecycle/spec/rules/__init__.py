"""The rules that a spec as a whole must keep. Each module looks at one side of it."""

from __future__ import annotations

from lifecycle.spec.errors import Problem
from lifecycle.spec.pipeline import PipelineSpec
from lifecycle.spec.rules import checks, commands, dead_letters, graph, limits, python, sinks, sources, sql, windows


def validate(spec: PipelineSpec) -> tuple[Problem, ...]:
    """Everything that is wrong with a spec whose fields are right, in the order of reading."""
    twins = tuple(graph.twins(spec))
    if twins:
        # With two nodes of one name nothing else can be said for sure.
        return twins
    rules = (
        graph.shape,
        limits.rules,
        windows.rules,
        sources.rules,
        dead_letters.rules,
        sql.rules,
        python.rules,
        commands.rules,
        sinks.rules,
        checks.rules,
    )
    return tuple(dict.fromkeys(problem for rule in rules for problem in rule(spec)))
