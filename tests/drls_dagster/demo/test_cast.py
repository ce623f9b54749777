"""The demo's people can do nothing outside of the demo, and nobody else's account is touched."""

from __future__ import annotations

from datetime import timedelta

import pytest

from drls_dagster.demo.cast import cast
from drls_dagster.lifecycle_client.local import LocalLifecycle
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden, Unauthorized
from lifecycle.spec import parse_pipeline
from lifecycle.usecases.context import Context

PIPELINE = """
format_version: 1
name: NAME
nodes:
  - {id: raw, type: source, source: {kind: files, format: csv, path: "x/*.csv"}}
  - {id: out, type: sink, table: NAME.out, mode: overwrite}
edges: [{from: raw, to: out}]
"""


def spec(name: str):
    return parse_pipeline(PIPELINE.replace("NAME", name))


def test_ada_and_grace_lead_the_demos_pipeline_and_no_other(ctx: Context, token: str, admin: LocalLifecycle) -> None:
    admin.pipelines.save(spec("sales"))
    with cast(ctx, token, "flights_demo") as players:
        assert players.ada.pipelines.save(spec("flights_demo")).author == players.ada_name
        with pytest.raises(Forbidden, match="on pipeline sales"):
            players.ada.pipelines.save(spec("sales"))
    for person in admin.people.list():
        if person.name in {players.ada_name, players.grace_name}:
            (grant,) = person.grants
            assert (grant.role, grant.scope, grant.scope_value) == (Role.LEAD, ScopeKind.PIPELINE, "flights_demo")


def test_their_tokens_end_with_the_story_also_when_it_fails(ctx: Context, token: str) -> None:
    with pytest.raises(ZeroDivisionError), cast(ctx, token, "flights_demo") as players:
        assert players.grace.people.me().name == "demo-grace"
        _ = 1 / 0
    for one in (players.ada, players.grace):
        with pytest.raises(Unauthorized):
            one.people.me()


def test_a_second_demo_plays_with_the_same_accounts(ctx: Context, token: str, admin: LocalLifecycle) -> None:
    with cast(ctx, token, "flights_demo") as first:
        pass
    with cast(ctx, token, "flights_demo_2") as second:
        assert (second.ada_name, second.grace_name) == (first.ada_name, first.grace_name)
    assert len(admin.people.list()) == 3


def test_an_account_of_somebody_else_and_a_disabled_one_are_left_alone(
    ctx: Context, token: str, admin: LocalLifecycle
) -> None:
    admin.people.add("demo-ada", display_name="Ada Demo")
    admin.people.set_password("demo-ada", "correct horse battery")
    with cast(ctx, token, "flights_demo") as players:
        assert players.ada_name == "demo-ada-2"
    admin.people.disable("demo-ada-2")
    with cast(ctx, token, "flights_demo_2") as players:
        assert (players.ada_name, players.grace_name) == ("demo-ada-3", "demo-grace")
    (stranger,) = [person for person in admin.people.list() if person.name == "demo-ada"]
    assert stranger.grants == ()


def test_who_is_no_admin_cannot_play(ctx: Context, admin: LocalLifecycle) -> None:
    admin.people.add("vic")
    admin.people.set_password("vic", "correct horse battery")
    issued = admin.sign_in("vic", "correct horse battery", timedelta(minutes=5))
    with pytest.raises(Forbidden, match="ask an Admin"), cast(ctx, issued.secret, "flights_demo"):
        pass
    assert [person.name for person in admin.people.list()] == ["admin", "vic"]
