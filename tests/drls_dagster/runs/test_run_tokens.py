"""The run token: what it is bound to, what it is worth, and that it shows nowhere."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from drls_dagster.gate.launched_by import run_subject, sign_launch
from drls_dagster.runs import handover
from drls_dagster.runs.address import TOKEN_VARIABLE, URL_VARIABLE
from drls_dagster.runs.handover import clear_left, hand_over, required, take_back, taken
from drls_dagster.runs.opening import way_of
from drls_dagster.runs.part import Part
from drls_dagster.runs.refusal import GateRefused
from drls_dagster.runs.token import AUDIENCE, RunToken, bind, read_token
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import HoldKind
from lifecycle.errors import Unauthorized
from lifecycle.usecases.holding import set_hold
from lifecycle.usecases.parts.signed_tokens import seal
from tests.drls_dagster.runs.conftest import HERE, World


def test_a_token_is_bound_to_run_version_environment_and_person(world: World) -> None:
    found = read_token(world.ctx, world.token(world.run, run_key="first").text)
    assert (found.run_id, found.run_key) == (world.run, "first")
    assert found.parts == (Part(world.name, world.version.digest, HERE),)
    assert (found.person, found.name, found.host) == (world.person.person, world.person.name, "laptop")
    for pipeline, environment in (("others", HERE), (world.name, Environment.PRODUCTION)):
        with pytest.raises(Unauthorized, match="this run token is not for"):
            found.part(pipeline, environment)


def test_what_the_installation_did_not_sign_as_a_run_token_is_worthless(world: World) -> None:
    bound = bind(world.run, world.run, [Part(world.name, world.version.digest, HERE)])
    text = world.token().text
    launch = sign_launch(world.ctx, world.person, run_subject(world.run), [("development", world.name)])
    late = seal(world.ctx, AUDIENCE, {"bound": bound.model_dump_json()}, timedelta(seconds=-1))
    claims = jwt.decode(text, options={"verify_signature": False})
    headers = {"kid": jwt.get_unverified_header(text)["kid"]}
    forged = jwt.encode(claims, "x" * 64, algorithm="HS256", headers=headers)
    unsigned = jwt.encode(claims, None, algorithm="none", headers=headers)
    for worthless in ("", "x", launch, late, forged, unsigned, text[:-3]):
        with pytest.raises(Unauthorized):
            world.client(RunToken(worthless or "-")).admit({})
    assert world.client(RunToken(text)).admit({}) is not None


def test_a_token_shows_in_no_text_of_what_has_it(world: World, tmp_path: Path) -> None:
    token = world.token()
    client = world.client(token)
    assert token.text not in f"{token} {token!r} {client!r} {client.way!r} {vars(client)}"
    with pytest.raises(Unauthorized) as refused:
        world.client(RunToken("not-a-token")).admit({})
    assert "not-a-token" not in str(refused.value)


def test_the_process_of_a_run_takes_its_token_once_and_nothing_is_left(world: World) -> None:
    settings = world.settings
    hand_over(settings, world.run, world.token(), "unix:/nowhere")
    file = settings.home / "run-tokens" / world.run
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    first = taken(settings, world.run)
    assert first is not None
    assert taken(settings, world.run) is first
    assert taken(settings, "another-run") is None
    assert list(file.parent.iterdir()) == []


def test_a_pods_token_leaves_its_environment_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, world.token().text)
    monkeypatch.setenv(URL_VARIABLE, "https://drls.example")
    assert taken(world.settings, "in-a-pod") is not None
    assert TOKEN_VARIABLE not in os.environ
    handover._taken.clear()
    assert taken(world.settings, "in-a-pod") is None


def test_where_a_run_service_runs_a_process_without_a_token_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert required(world.settings, "by-its-owner") is None
    monkeypatch.setenv(URL_VARIABLE, "unix:/nowhere")
    with pytest.raises(GateRefused, match="run launched was started without its run token") as refused:
        way_of(world.settings, "launched", "launched", Part(world.name, world.version.digest, HERE))
    assert len(str(refused.value).splitlines()) == 1
    hand_over(world.settings, "launched", world.token("launched"), "unix:/nowhere")
    assert required(world.settings, "launched") is not None


def test_tokens_that_nobody_took_are_removed_when_their_run_is_over(world: World) -> None:
    for run_id in ("over", "waits", "failed-to-launch"):
        hand_over(world.settings, run_id, world.token(run_id), "unix:/nowhere")
    take_back(world.settings, "failed-to-launch")
    assert clear_left(world.settings, lambda run_id: run_id == "over") == ["over"]
    left = world.settings.home / "run-tokens" / "waits"
    assert [one.name for one in left.parent.iterdir()] == ["waits"]
    assert json.loads(left.read_text()).keys() == {"url", "token"}


def test_a_token_is_left_for_runs_of_dagster_alone(world: World) -> None:
    for run_id in ("../secret", "", "a/b", ".hidden", "x" * 65):
        with pytest.raises(GateRefused, match="is not a run id"):
            hand_over(world.settings, run_id, world.token(), "unix:/nowhere")
        assert taken(world.settings, run_id) is None


def test_l10_a_renewed_token_is_worth_no_more_than_the_admission(world: World) -> None:
    """Finding 12: two processes of a run renew at once; a stop in between ends what both of them got."""
    client = world.begun()
    with ThreadPoolExecutor(4) as pool:
        renewed = list(pool.map(lambda _: world.client().renew(), range(4)))
    assert all(read_token(world.ctx, text) == read_token(world.ctx, world.token().text) for text in renewed)
    assert world.client(RunToken(renewed[-1])).renew()
    set_hold(world.ctx, world.person, HoldKind.STOP, HERE, world.name, reason="a leak")
    for text in (world.token().text, *renewed):
        with pytest.raises(GateRefused):
            world.client(RunToken(text)).renew()
    with pytest.raises(GateRefused):
        client.renew()
