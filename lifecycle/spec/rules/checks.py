"""SQL checks of monitors."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.spec.checks import SqlCheck
from lifecycle.spec.errors import Problem, shorten
from lifecycle.spec.pipeline import PipelineSpec
from lifecycle.spec.rules.sql import MAX_TOTAL, parameters
from lifecycle.spec.sql import sql_facts


def rules(spec: PipelineSpec) -> Iterator[Problem]:
    """The only table of a SQL check is the node that its monitor is attached to."""
    sizes = [len(c.sql) for monitor in spec.monitors for c in monitor.checks if isinstance(c, SqlCheck)]
    if sum(sizes) > MAX_TOTAL:
        return
    for monitor in spec.monitors:
        attached = spec.upstream(monitor.id)
        for check in monitor.checks:
            if not isinstance(check, SqlCheck):
                continue
            field = f"checks.{check.name}.sql"
            facts = sql_facts(check.sql)
            for message, remedy in facts.problems:
                yield Problem(monitor.id, field, message, remedy)
            for table in facts.tables:
                if table not in attached:
                    message = f"reads '{shorten(table)}', but the monitor is attached to {_listed(attached)}"
                    yield Problem(monitor.id, field, message, "a check reads only the node it is attached to")
            yield from parameters(spec, monitor.id, field, facts)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "nothing"
