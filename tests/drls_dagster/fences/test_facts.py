"""What the lifecycle, receipts and people hear of the fence."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from drls_dagster.cli.main import run
from drls_dagster.errors import UsageError
from drls_dagster.fences.engine_fence import engine_fence
from drls_dagster.fences.enter import landlock_abi
from drls_dagster.fences.facts import fence_facts
from drls_dagster.fences.fence import Fence
from drls_dagster.fences.fences import can_view, code_fence, confined
from drls_dagster.lifecycle_client.gateway import open_lifecycle
from drls_dagster.settings import load_settings
from lifecycle.domain.fence import FenceFacts, FenceKind

needs_landlock = pytest.mark.skipif(not landlock_abi(), reason="this kernel has no Landlock")


@needs_landlock
def test_a_fence_is_on_by_default() -> None:
    facts = fence_facts(load_settings())
    assert facts.kind is FenceKind.LANDLOCK
    assert f"Landlock ABI {landlock_abi()}" in facts.detail


@needs_landlock
def test_an_engine_without_a_view_of_its_own_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As inside a container that allows no namespaces."""
    assert ("Unix sockets" in fence_facts(load_settings()).detail) is not can_view()
    outer = Fence(read=("/",), write=("/",), unix_sockets=True, strict=False)
    asked = (
        "from drls_dagster.fences.facts import fence_facts; from drls_dagster.settings import load_settings\n"
        "print(fence_facts(load_settings()).detail)"
    )
    done = subprocess.run(confined(outer, [sys.executable, "-c", asked]), capture_output=True, text=True, check=True)
    assert "Java code in the engine can connect to Unix sockets" in done.stdout


@needs_landlock
def test_the_lifecycle_of_a_home_knows_its_fence() -> None:
    assert run(["db", "upgrade"]) == 0
    assert open_lifecycle(load_settings()).fence() == fence_facts(load_settings())


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DRLS_FENCE__MODE", "off", "fence.mode is off"),
        ("DRLS_ENGINE__SPARK_CONNECT", "sc://elsewhere:15002", "an engine that DRLS does not start"),
        ("DRLS_ENGINE__RAY_ADDRESS", "ray://elsewhere:10001", "a Ray cluster that DRLS does not start"),
        ("RAY_ADDRESS", "elsewhere:6379", "a Ray cluster that DRLS does not start"),
    ],
)
def test_without_a_fence_the_lifecycle_knows_why(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    facts = fence_facts(load_settings())
    assert isinstance(facts, FenceFacts)
    assert facts.kind is FenceKind.NONE
    assert said in facts.detail


ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")


@needs_landlock
@ROOT
@pytest.mark.parametrize("given", ["nobody", str(pwd.getpwnam("nobody").pw_uid)])
def test_an_account_of_its_own_is_said_by_name(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("DRLS_FENCE__ACCOUNT", given)
    facts = fence_facts(load_settings())
    assert (facts.kind, facts.detail.split(",")[0]) == (FenceKind.ACCOUNT, "account nobody")


@ROOT
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nobody-here", "this machine has no account 'nobody-here'; create it"),
        ("4123456", "this machine has no account '4123456'; create it"),
        ("root", "root has rights of root; choose an account without"),
        ("0", "root has rights of root; choose an account without"),
    ],
)
def test_an_account_that_cannot_be_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    monkeypatch.setenv("DRLS_FENCE__ACCOUNT", given)
    with pytest.raises(UsageError, match=rf"^fence.account: {said}[^\n]*$"):
        code_fence(load_settings())
    with pytest.raises(UsageError, match=rf"^fence.account: {said}[^\n]*$"):
        engine_fence(load_settings())
    assert fence_facts(load_settings()).kind is FenceKind.NONE


@pytest.mark.skipif(os.geteuid() == 0, reason="root can become another account")
def test_an_account_is_refused_where_drls_is_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_FENCE__ACCOUNT", "nobody")
    with pytest.raises(UsageError, match="only root can run pipeline code as nobody, and DRLS does not run as root"):
        code_fence(load_settings())


def test_an_account_needs_the_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_FENCE__ACCOUNT", "nobody")
    monkeypatch.setenv("DRLS_FENCE__MODE", "off")
    with pytest.raises(UsageError, match="account needs the fence, and mode is off"):
        load_settings()
