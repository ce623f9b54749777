"""The run token: what a run may do, signed by the installation (ADR 28).

It is issued when a run is launched, and bound to the run, its pipelines with the digests of their versions, its
environment and the person who launched it. It is good for as long as the run's admission stands, and is renewed while
the run sends heartbeats. Who holds it acts as that run, so it never is in a tag, a log, an argument or a `repr`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from drls_dagster.lifecycle_client.gateway import gateway_actor
from drls_dagster.runs.part import Part
from drls_dagster.traces.place import Place
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, WayIn
from lifecycle.errors import Unauthorized
from lifecycle.usecases.parts.signed_tokens import seal, unseal

if TYPE_CHECKING:
    from lifecycle.usecases.context import Context

AUDIENCE = "drls-run"
LIFE = timedelta(days=1)


class Bound(Frozen):
    """What a run token is bound to. `person` is None where nobody launched the run: a schedule, a sensor, the owner.

    `trace` is where the run belongs in a trace, as its launch said it; nothing is allowed because of it.
    """

    run_id: str
    run_key: str
    parts: tuple[Part, ...]
    person: int | None = None
    name: str = ""
    host: str = ""
    acts_for: str | None = None
    trace: str = ""

    def part(self, pipeline: str, environment: Environment) -> Part:
        """A pipeline of the run. Raises Unauthorized for one that it does not have."""
        for one in self.parts:
            if (one.pipeline, one.environment) == (pipeline, environment):
                return one
        raise Unauthorized(f"this run token is not for {pipeline!r} in {environment.label}")

    def actor(self, part: str) -> Actor:
        """Who acts when the run does something: its person, through a part of the installation; else that part."""
        if self.person is None:
            return gateway_actor(part)
        return Actor(
            person=self.person,
            name=self.name,
            way_in=WayIn.DAGSTER,
            host=self.host,
            part=part,
            acts_for=self.acts_for,
        )


class RunToken:
    """A token as text. Only `text` gives it away."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return "RunToken(…)"


def bind(
    run_id: str, run_key: str, parts: Iterable[Part], launched_by: Actor | None = None, trace: Place | None = None
) -> Bound:
    """What a token for these pipelines of a run is bound to."""
    place = trace.text if trace is not None else ""
    if launched_by is None:
        return Bound(run_id=run_id, run_key=run_key, parts=tuple(parts), trace=place)
    by = launched_by
    return Bound(
        run_id=run_id,
        run_key=run_key,
        parts=tuple(parts),
        person=by.person,
        name=by.name,
        host=by.host,
        acts_for=by.acts_for,
        trace=place,
    )


def issue(ctx: Context, bound: Bound) -> RunToken:
    """A token that the installation has signed."""
    return RunToken(seal(ctx, AUDIENCE, {"bound": bound.model_dump_json()}, LIFE))


def read_token(ctx: Context, text: str) -> Bound:
    """What a token is bound to. Raises Unauthorized for a forged or expired one."""
    try:
        return Bound.model_validate(json.loads(unseal(ctx, AUDIENCE, text)["bound"]))
    except (KeyError, ValueError):
        raise Unauthorized("this run token is not valid; launch the run again") from None
    except Unauthorized:
        raise Unauthorized("this run token is not valid or has expired; launch the run again") from None
