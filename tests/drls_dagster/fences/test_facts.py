"""What the lifecycle, receipts and people hear of the fence."""

from __future__ import annotations

import pytest

from drls_dagster.cli.main import run
from drls_dagster.errors import UsageError
from drls_dagster.fences.enter import landlock_abi
from drls_dagster.fences.facts import fence_facts
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


def test_an_account_of_its_own_is_refused_and_not_half_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_FENCE__ACCOUNT", "nobody")
    with pytest.raises(UsageError, match=r"DRLS_FENCE__ACCOUNT.*cannot run pipeline code as an account of its own"):
        load_settings()
