"""`drls run` beside a running `drls up`: executed by a fork of the warm host, and nobody sees a difference (ADR 49)."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from drls_dagster.gate import warm_host
from drls_dagster.gate.warm_host import PLACE, Command, WarmHost, WarmHostError
from drls_dagster.runs.run_process import FOLDER
from tests.drls_dagster.up.test_warm_host import SECRET, Home, home, hosted, process
from tests.waiting import wait_until

__all__ = ("home", "hosted", "process")
CLI = (sys.executable, "-m", "drls_dagster.cli.main")
BROKEN = "name: broken\nnodes: 7\n"


@pytest.fixture
def place(hosted: Home) -> Iterator[Path]:
    """Where commands of this home find its host."""
    folder = hosted.settings.home / "up"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / PLACE
    file.write_text(str(hosted.place))
    yield file
    file.unlink(missing_ok=True)


def of(hosted: Home) -> dict[str, str]:
    return {**os.environ, "DRLS_HOME": str(hosted.settings.home), "PYTHONPATH": os.getcwd()}


def of_ended_forks(host: psutil.Process) -> int:
    """Page faults of the forks that the host has seen end: none is so short that it has none."""
    return int(Path(f"/proc/{host.pid}/stat").read_text().rpartition(")")[2].split()[8])


@contextmanager
def started(hosted: Home, *arguments: str, output: Path, home: Path | None = None) -> Iterator[Command]:
    """A command whose output and errors go into a file."""
    with output.open("wb") as out, Path(os.devnull).open("rb") as nothing:
        files = (nothing.fileno(), out.fileno(), out.fileno())
        variables = {**of(hosted), **({"DRLS_HOME": str(home)} if home else {})}
        found = hosted.host.command(arguments, variables, str(output.parent), files)
    assert found is not None
    with closing(found):
        yield found


def test_it_says_and_ends_as_it_would_on_its_own(
    hosted: Home, place: Path, process: psutil.Process, tmp_path: Path
) -> None:
    """In its folder, with its exit code, and with nothing in its log that a host would write."""
    (tmp_path / "broken.yaml").write_text(BROKEN)
    for arguments in (["run", "broken.yaml"], ["run", "broken.yaml", "--json"], ["run", "nowhere"], ["run"]):
        place.unlink()
        alone = subprocess.run(
            [*CLI, *arguments], cwd=tmp_path, env=of(hosted), capture_output=True, text=True, check=False
        )
        place.write_text(str(hosted.place))
        before, tried = of_ended_forks(process), 0
        while of_ended_forks(process) == before:  # the host's fork did it, unless the host had a busy second
            there = subprocess.run(
                [*CLI, *arguments], cwd=tmp_path, env=of(hosted), capture_output=True, text=True, check=False
            )
            assert (there.returncode, there.stdout, there.stderr) == (alone.returncode, alone.stdout, alone.stderr)
            assert alone.returncode != 0
            tried += 1
            assert tried < 10
            with suppress(AssertionError):
                wait_until(lambda earlier=before: of_ended_forks(process) > earlier, 3)


def test_it_is_a_process_of_its_own_that_is_gone_at_the_end(
    hosted: Home, process: psutil.Process, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    with started(hosted, "run", "nowhere", output=output) as command:
        assert command.pid != process.pid
        assert command.wait() == 1
    assert "nowhere" in output.read_text()
    wait_until(lambda: not psutil.pid_exists(command.pid))
    assert SECRET not in output.read_text()
    assert not list((hosted.settings.home / FOLDER).iterdir())


def test_it_writes_no_log_to_the_terminal(hosted: Home, tmp_path: Path) -> None:
    """Migrations of a new home are in the log of the host."""
    output = tmp_path / "out"
    with started(hosted, "db", "upgrade", output=output, home=tmp_path / "new") as command:
        assert command.wait() == 0
    assert output.read_text()
    assert "INFO" not in output.read_text()


def test_ctrl_c_interrupts_it(hosted: Home, tmp_path: Path) -> None:
    with started(hosted, "logs", "--follow", output=tmp_path / "out") as command:
        command.interrupt()
        assert command.wait() == 130
    wait_until(lambda: not psutil.pid_exists(command.pid))


def test_nobody_waits_so_it_ends(hosted: Home, tmp_path: Path) -> None:
    """As the command of a process does that is killed."""
    with started(hosted, "logs", "--follow", output=tmp_path / "out") as command:
        assert psutil.pid_exists(command.pid)
    wait_until(lambda: not psutil.pid_exists(command.pid))


def test_a_killed_one_is_no_success(hosted: Home, tmp_path: Path) -> None:
    with started(hosted, "logs", "--follow", output=tmp_path / "out") as command:
        os.kill(command.pid, signal.SIGKILL)
        with pytest.raises(WarmHostError, match="it ended"):
            command.wait()


def test_a_host_with_other_code_executes_nothing(hosted: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_host, "code_here", lambda: ["another Python", "another DRLS"])
    assert hosted.host.command(["run"], of(hosted), "/", (0, 1, 2)) is None


def test_an_upgrade_is_other_code_in_the_same_place(tmp_path: Path) -> None:
    file = tmp_path / "warm_host.py"
    file.write_bytes(Path(warm_host.__file__).read_bytes())
    seen = [runpy.run_path(str(file))["code_here"]() for _ in range(2)]
    os.utime(file, ns=(0, 1_000))
    assert seen[0] == seen[1] != runpy.run_path(str(file))["code_here"]()


def test_only_a_host_that_is_there_is_asked(hosted: Home, place: Path, tmp_path: Path) -> None:
    assert warm_host.host_of(hosted.settings.home) is not None
    place.write_text(str(tmp_path / "nobody.sock"))
    assert warm_host.host_of(hosted.settings.home) is None
    place.unlink()
    assert warm_host.host_of(hosted.settings.home) is None
    assert WarmHost(tmp_path / "nobody.sock").command(["run"], {}, "/", (0, 1, 2)) is None
