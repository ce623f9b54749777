"""What a page shows before somebody acts: what would happen, in words, and what blocks it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Form

from lifecycle.app.kit import links
from lifecycle.app.kit.words import NAMES
from lifecycle.domain.checklist import Check, fulfilled
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Target
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Admission, Permit
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import people_with, target_of
from lifecycle.usecases.parts.activation import Ending, Revocation

# An empty reason is the verb's to refuse: it says what a good one is.
Reason = Annotated[str, Form(max_length=2_000, pattern=r"^[^\x00]*$")]
Key = Annotated[str | None, Form(max_length=200, pattern=r"^[!-~]+$")]


@dataclass(frozen=True, slots=True)
class Line:
    """One consequence: `link`, `text`, `code`. `href` leads to what it is about, from `link`, else from `code`.

    `code` is a digest, a snapshot, a run.
    """

    text: str
    href: str = ""
    link: str = ""
    code: str = ""
    unreviewed: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Consequences of one kind; `icon` names one of icons.svg."""

    title: str
    icon: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Button:
    """A form: where it goes, what it says, and what it carries unseen. `consent` is the box to tick, if any."""

    action: str
    word: str
    checks: tuple[Check, ...]
    hint: str = ""
    danger: bool = True
    hidden: Mapping[str, str] = field(default_factory=dict[str, str])
    consent: str = ""
    consent_value: str = "yes"
    asks_reason: bool = True

    @property
    def is_open(self) -> bool:
        """Whether the verb would not refuse now."""
        return fulfilled(self.checks)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several ways to do it, each with consequences of its own."""

    word: str
    href: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Act:
    """A page about one thing to do. `who` are the people who may; `crumbs` lead back, as (word, address)."""

    title: str
    lead: str
    crumbs: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]
    buttons: tuple[Button, ...]
    who: tuple[str, ...]
    role: Role
    choices: tuple[Choice, ...] = ()
    source: Environment | None = None
    target: Environment | None = None
    warning: str = ""


def who_can(ctx: Context, role: Role, name: str | None, number: int | None = None) -> tuple[str, ...]:
    """The people who have `role` on a pipeline (None: everywhere), to be asked by those who have not."""
    with ctx.store.read() as view:
        if name is None:
            return people_with(view, role, Target())
        pipeline = view.pipelines.named(name)
        version = view.pipelines.numbered(pipeline, number) if number is not None else None
        return people_with(view, role, target_of(view, pipeline, version))


def pipeline_crumbs(name: str, number: int | None = None) -> tuple[tuple[str, str], ...]:
    """The way back to a pipeline, or to one of its versions."""
    way = (("Pipelines", "/pipelines"), (name, links.pipeline(name)))
    return way if number is None else (*way, (f"v{number}", links.version(name, number)))


def environment_crumbs(environment: Environment) -> tuple[tuple[str, str], ...]:
    """The way back to an environment."""
    return (("Environments", links.environments()), (NAMES[environment], links.environment(environment)))


def ending_groups(ctx: Context, ending: Ending, dagster: str | None) -> tuple[Group, ...]:
    """What goes with a deployment that ends: requests and runs, each with where to look at it."""
    return (request_group(ctx, "Requests that will close", ending.requests), run_group(ending.revoked, dagster))


def request_group(ctx: Context, title: str, requests: Sequence[Promotion], none: str = "None.") -> Group:
    """Requests, each with who asked."""
    with ctx.store.read() as view:
        names = view.people.names(one.requested_by for one in requests)
    lines = tuple(
        Line(
            f": {one.plan.pipeline} v{one.plan.version} to {NAMES[one.target]}, {one.state.value}, requested "
            f"by {names[one.requested_by]}",
            href=links.request(one.id),
            link=f"Request {one.id}",
        )
        for one in requests
    )
    return Group(title, "cross", lines or (Line(none),))


def run_group(revoked: Revocation, dagster: str | None, names: Mapping[int, str] | None = None) -> Group:
    """Runs that are revoked and permits that are taken; `names` of pipelines, where there are several."""
    runs = [_run_line(one, dagster, names or {}) for one in revoked.runs]
    permits = [_permit_line(one) for one in revoked.permits]
    return Group("Runs that will be revoked", "stop", (*runs, *permits) or (Line("None."),))


def reload_group(*environments: Environment) -> Group:
    """Which code locations of Dagster load again."""
    where = " and ".join(NAMES[one] for one in environments)
    plural = "s" if len(environments) > 1 else ""
    text = f"The code location{plural} of {where} reload{'' if plural else 's'}; running runs are not affected."
    return Group("Dagster", "turn", (Line(text),))


def pipeline_names(view: View, revoked: Revocation) -> dict[int, str]:
    """The names of the pipelines whose runs these are."""
    return view.pipelines.names({one.pipeline_id for one in revoked.runs})


def listed(names: Iterable[str]) -> str:
    """Names in a sentence: `a, b and c`."""
    every = list(names)
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} and {every[-1]}" if every else ""


def _run_line(run: Admission, dagster: str | None, names: Mapping[int, str]) -> Line:
    of = f" of {names[run.pipeline_id]}" if run.pipeline_id in names else ""
    does = "stops at its next step and publishes nothing more" if run.state.value == "running" else "never starts"
    return Line(
        f"A {run.state.value} run{of} {does}:",
        href=links.run(dagster, run.run_id) if dagster else "",
        code=run.run_id,
    )


def _permit_line(permit: Permit) -> Line:
    return Line(f"The unused permit to publish {permit.table_name} is revoked.", code=str(permit.candidate))
