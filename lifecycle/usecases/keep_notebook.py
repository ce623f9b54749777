"""Start, stop and look at the caller's own notebook. There is no way to anybody else's."""

from __future__ import annotations

from lifecycle.domain.notebooks import Notebook, NotebookState
from lifecycle.domain.people import Actor, Person
from lifecycle.domain.roles import Role
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require_human, require_somewhere

_DOING = "a notebook"


def start_notebook(ctx: Context, actor: Actor) -> Notebook:
    """Starts it, or answers the one that runs. Raises Forbidden for who may not run code of their own here.

    It is audited before it starts, so that nothing runs which the audit log does not know.
    """
    with ctx.store.read() as view:
        person = may_have(view, actor)
    found = ctx.notebooks.find(person)
    if found.state is NotebookState.RUNNING:
        return found
    with ctx.store.write(actor, "start_notebook") as unit:
        unit.audit("notebook.started", f"notebook:{may_have(unit, actor).name}")
    return ctx.notebooks.start(person)


def stop_notebook(ctx: Context, actor: Actor) -> Notebook:
    """Stops it; its files stay. Also for who may no longer start one."""
    with ctx.store.read() as view:
        person = _human(view, actor)
    found = ctx.notebooks.find(person)
    if found.state is NotebookState.STOPPED:
        return found
    with ctx.store.write(actor, "stop_notebook") as unit:
        unit.audit("notebook.stopped", f"notebook:{person.name}")
    return ctx.notebooks.stop(person)


def find_notebook(ctx: Context, actor: Actor) -> Notebook:
    """Whether it runs, and since when."""
    with ctx.store.read() as view:
        person = _human(view, actor)
    return ctx.notebooks.find(person)


def may_have(view: View, actor: Actor) -> Person:
    """The acting person, who may run code of their own in development: as much as a saved pipeline may do there.

    Raises Forbidden for everybody else, agents and services among them.
    """
    person = _human(view, actor)
    require_somewhere(view, actor, Role.DATA_ENGINEER, _DOING)
    return person


def _human(view: View, actor: Actor) -> Person:
    person = view.people.get(actor.person or 0)
    require_human(person, "having a notebook")
    return person
