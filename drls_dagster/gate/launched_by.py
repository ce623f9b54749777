"""Whose run it is: Dagster's door signs a person onto a run or a backfill, the run coordinator believes nothing else.

The tag says person, run (or backfill), environment and pipelines, and until when. It is worthless on any other run.
Without it nobody launched the run: a schedule, a sensor, or whoever owns DRLS_HOME with a command of Dagster's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from drls_dagster.dagster_private.tags import BACKFILL_ID_TAG, HIDDEN_TAG_PREFIX, RETRY_NUMBER_TAG
from drls_dagster.runs.admission import lifecycle_of
from drls_dagster.runs.part import Part
from drls_dagster.runs.refusal import GateRefused
from drls_dagster.settings import Settings
from lifecycle.domain.people import Actor, WayIn
from lifecycle.errors import LifecycleError
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.signed_tokens import seal, unseal

if TYPE_CHECKING:
    from dagster import DagsterRun

# Dagster shows and answers no tag of this prefix; knowing one would not help either.
LAUNCHED_BY_TAG = f"{HIDDEN_TAG_PREFIX}drls_launched_by"
_AUDIENCE = "drls-launched-by"
# A backfill continues for days, and what is left of a run may be tried again by Dagster itself.
LIFE = timedelta(days=7)


def run_subject(run_id: str) -> str:
    return f"run:{run_id}"


def backfill_subject(backfill_id: str) -> str:
    return f"backfill:{backfill_id}"


def sign_launch(ctx: Context, actor: Actor, subject: str, pipelines: Iterable[tuple[str, str]]) -> str:
    """The tag for a run or a backfill of these (environment, pipeline) pairs."""
    where = " ".join(sorted(f"{environment}/{name}" for environment, name in pipelines))
    said = {"of": subject, "person": str(actor.person), "name": actor.name, "host": actor.host, "where": where}
    if actor.acts_for is not None:
        said["acts_for"] = actor.acts_for
    return seal(ctx, _AUDIENCE, said, LIFE)


def is_signed_by(ctx: Context, person: int, text: str, subject: str) -> bool:
    """Whether `text` is the tag that this person's launch of `subject` carries."""
    try:
        said = unseal(ctx, _AUDIENCE, text)
    except LifecycleError:
        return False
    return (said.get("of"), said.get("person")) == (subject, str(person))


def launcher_of(settings: Settings, run: DagsterRun, parts: Iterable[Part]) -> Actor | None:
    """The person whose signature a run carries; None for a run that nobody signed.

    Raises GateRefused for a signature that is not for this run.
    """
    text = run.tags.get(LAUNCHED_BY_TAG)
    if text is None:
        return None
    ctx = lifecycle_of(settings)
    if ctx is None:
        raise GateRefused("DRLS did not let this run start: nobody here could have launched it")
    try:
        said = unseal(ctx, _AUDIENCE, text)
    except LifecycleError:
        raise _not_theirs("the launch signature is not valid or too old") from None
    if said.get("of") in _before(run) and RETRY_NUMBER_TAG not in run.tags:
        # Executed again by a command of this machine, which copies the tags: nobody has signed this run.
        return None
    if said.get("of") not in _subjects(run):
        raise _not_theirs("it carries the signature of another run")
    signed = set(said.get("where", "").split())
    if not {f"{part.environment.value}/{part.pipeline}" for part in parts} <= signed:
        raise _not_theirs("the launch was signed for other pipelines")
    return Actor(
        person=int(said["person"]),
        name=said["name"],
        way_in=WayIn.DAGSTER,
        host=said.get("host", ""),
        acts_for=said.get("acts_for"),
    )


def _subjects(run: DagsterRun) -> set[str]:
    """A run's own signature, that of its backfill, or that of the run which Dagster retries automatically."""
    backfill = run.tags.get(BACKFILL_ID_TAG)
    return {run_subject(run.run_id), *_before(run), *([backfill_subject(backfill)] if backfill else [])}


def _before(run: DagsterRun) -> set[str]:
    """The runs that this one repeats."""
    return {run_subject(one) for one in (run.parent_run_id, run.root_run_id) if one}


def _not_theirs(why: str) -> GateRefused:
    return GateRefused(f"DRLS did not let this run start: {why}; launch it again")
