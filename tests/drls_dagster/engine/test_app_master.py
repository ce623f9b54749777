"""What DRLS replaces in RayDP, Ray and Spark is as it was when it was written. A new version needs a look here."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from ray._private import services, utils
from ray._private.node import Node
from raydp.spark import ray_cluster, ray_cluster_master

from drls_dagster.engine.app_master import GuardedSparkMaster, guard_app_master
from drls_dagster.engine.lean_ray import _lean

MASTER: Any = ray_cluster_master.RayDPSparkMaster.__ray_metadata__.modified_class  # pyright: ignore


def digest(of: Callable[..., object]) -> str:
    return hashlib.sha256(inspect.getsource(of).encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("of", "known"),
    [
        (MASTER._launch_gateway, "473a0bb29b06"),
        (MASTER.start_up, "4478c310dc53"),
        (MASTER.stop, "5beb1b6d0fd7"),
        (ray_cluster.SparkCluster._set_up_master, "91eb93eac90c"),
    ],
)
def test_what_our_master_replaces_or_relies_on_is_unchanged(of: Callable[..., object], known: str) -> None:
    assert digest(of) == known, f"RayDP's {of.__qualname__} changed: compare it with drls_dagster/engine/app_master.py"


def test_raydp_starts_our_master(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "RayDPSparkMaster", ray_cluster.RayDPSparkMaster)
    guard_app_master()
    assert ray_cluster.RayDPSparkMaster is GuardedSparkMaster
    names = ray_cluster.SparkCluster._set_up_master.__code__.co_names
    assert "RayDPSparkMaster" in names, "found by this name"


def test_ray_still_has_what_a_lean_start_leaves_out() -> None:
    started = inspect.getsource(Node.start_head_processes)
    assert "self.start_monitor()" in started
    assert "self.start_api_server(" in started
    raylet = inspect.getsource(services.start_raylet)
    assert '"dashboard", "agent.py"' in raylet
    assert "ray._private.utils.get_dashboard_dependency_error() is not None" in raylet


def test_ray_is_as_it_was_after_a_lean_start() -> None:
    before = [Node.start_monitor, Node.start_api_server, utils.get_dashboard_dependency_error]
    with _lean():
        assert Node.start_monitor is not before[0]
    assert [Node.start_monitor, Node.start_api_server, utils.get_dashboard_dependency_error] == before
