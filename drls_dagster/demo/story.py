"""The story, from the first account to the audit log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.demo import first_release, later_releases, versions
from drls_dagster.demo.cast import cast
from drls_dagster.demo.stage import Stage
from drls_dagster.demo.telling import Astray, Telling
from lifecycle.audit import verify
from lifecycle.audit.keys import public_key

if TYPE_CHECKING:
    from drls_dagster.settings import Settings
    from lifecycle.usecases.context import Context


def tell_story(
    settings: Settings,
    ctx: Context,
    token: str | None,
    example: Path,
    tell: Telling,
    prepare: Callable[[], None] = lambda: None,
) -> Stage:
    """Plays every scene in this home, on a pipeline and with accounts of its own; `token` is an Admin's.

    `prepare` brings what runs need, the data and the engine, once it is known that the token is one.
    Raises Astray at the first thing that does not go as planned, and whatever refuses.
    """
    from drls_dagster.lakehouse.catalog import load_catalog

    with ExitStack() as stack:
        with tell.scene("The Admin", "gives Ada and Grace accounts, and a pipeline to lead") as outcome:
            name = versions.fresh_name(ctx, load_catalog(settings), settings.pipeline_folder)
            players = stack.enter_context(cast(ctx, token, name))
            outcome.done(
                f"{players.ada_name} and {players.grace_name} are LeadDataEngineers of {name}, and of nothing else"
            )
        prepare()
        stage = Stage(settings, players, name, (f"{name}.daily_delays", f"{name}.aircraft_use"))
        first_release.save_the_first(stage, tell, example)
        first_release.approve_the_first(stage, tell)
        first_release.release_the_first(stage, tell)
        released = stage.heads()
        later_releases.stop_the_second(stage, tell, example)
        later_releases.release_the_third(stage, tell, example)
        later_releases.roll_back(stage, tell, released)
        _check_the_log(stage, tell, ctx)
    return stage


def _check_the_log(stage: Stage, tell: Telling, ctx: Context) -> None:
    with tell.scene("The Admin", "checks the audit log") as outcome:
        key = ctx.store.signing_key.public
        with stage.cast.admin.audit.whole() as log:
            verdict = verify(log.entries, log.head, {public_key(key).keyid: key}, [])
        if not verdict.whole:
            raise Astray(verdict.findings[0].message)
        outcome.done(
            f"it is intact: {verdict.entries} entries, each refers to the previous one, and the head is signed"
        )
