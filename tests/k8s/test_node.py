"""The node of these tests leaves nothing on the machine, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.k8s.cluster import NODE, Cluster, cache
from tests.waiting import wait_until

pytestmark = [pytest.mark.k8s, pytest.mark.timeout(600)]
OWN = "drlsk8s1"
# A process of tests, as the node sees it: it holds the other end of the keeper's input.
HOLDER = """
import subprocess, sys, time
keeper = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(keeper.pid, keeper.stdout.readline(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def other(cluster: Cluster, tmp_path: Path) -> dict[str, str]:
    """The environment of a second node, with the programs of the first and one image."""
    folder = tmp_path / "other"
    (folder / "images").mkdir(parents=True)
    (folder / "bin").symlink_to(cache() / "bin")
    (folder / "images" / "pause.tar").symlink_to(cache() / "images" / "pause.tar")
    return {**os.environ, "K8S_CACHE": str(folder), "K8S_NUMBER": "1"}


def _left(other: dict[str, str]) -> list[str]:
    """Processes, cgroups, links, mounts and the folder of the second node."""
    found = [str(one) for one in Path("/sys/fs/cgroup").glob(f"**/{OWN}")]
    for one in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            found += [str(one)] if f"/{OWN}" in one.read_text() else []
        except OSError:  # it ended while we looked
            continue
    found += [str(one) for one in Path("/sys/class/net").glob(OWN)]
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if other["K8S_CACHE"] in line]
    run = Path(other["K8S_CACHE"]) / "run"
    return [*found, str(run)] if run.exists() else found


def _started(other: dict[str, str]) -> tuple[subprocess.Popen[str], int]:
    """The process that holds a node, and its keeper's id, once the node is ready."""
    command = [sys.executable, "-c", HOLDER, NODE / "up.sh"]
    holder = subprocess.Popen(command, env=other, stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    keeper, said = holder.stdout.readline().split()
    assert said == "ready"
    assert len(_left(other)) > 10
    return holder, int(keeper)


def test_the_tests_are_killed(other: dict[str, str]) -> None:
    holder, _ = _started(other)
    holder.kill()
    holder.communicate()
    wait_until(lambda: not _left(other), 60)


def test_the_keeper_is_killed_and_the_next_start_cleans_up(other: dict[str, str]) -> None:
    holder, keeper = _started(other)
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not [one for one in _left(other) if one.startswith("/proc/")], 60)
    subprocess.run([NODE / "down.sh"], env=other, check=True, timeout=60)
    assert _left(other) == []
    holder.kill()
    holder.communicate()
