"""A command in its fence: how it ends, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from drls_dagster.engine.command_messages import MOST_LOGGED, Messages
from drls_dagster.engine.command_process import MARK, Command, CommandFailed, CommandRefused, run_command
from drls_dagster.engine.processes import processes_of
from drls_dagster.fences.enter import landlock_abi
from drls_dagster.fences.fences import code_fence
from drls_dagster.fences.private_folder import make_private_folder
from drls_dagster.settings import load_settings
from tests.waiting import wait_until

MB = 2**20


class Ran:
    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700, exist_ok=True)
        self.settings = load_settings(home)
        self.place = make_private_folder(self.settings)
        self.lines: list[str] = []

    def __call__(
        self, *command: str, memory: int = 512 * MB, seconds: float = 60, env: Mapping[str, str] | None = None
    ) -> list[str]:
        fence = code_fence(self.settings, write=(str(self.place),))
        variables = {"PATH": os.environ["PATH"], **(env or {})}
        mask = lambda text: text.replace("hunter22", "***")  # noqa: E731
        asked = Command(command, variables, self.place, memory, seconds, self.lines.append, mask=mask)
        run_command(self.settings, fence, asked)
        return self.lines


@pytest.fixture
def ran(drls_home: Path) -> Ran:
    return Ran(drls_home)


def test_it_runs_in_its_folder_with_its_variables_alone(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_OF_DRLS", "hunter22")
    told = ran("bash", "-c", "pwd; env -u PWD -u SHLVL -u _ | sed s/=.*// | sort", env={"A": "1"})
    assert told == [str(ran.place), "A", MARK, "PATH"]


def test_what_it_prints_comes_line_by_line_with_secrets_masked(ran: Ran) -> None:
    text = "echo one; echo two >&2; printf 'no \\377 end: hunter22'; printf '%030000d' 0"
    told = ran("bash", "-c", text)
    assert told[:2] == ["one", "two"]
    assert told[2].startswith("no \\xff end: ***0000")
    assert len(told[2]) < 20_100


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("echo first; echo the model is missing >&2; exit 3", "it ended with exit code 3: the model is missing"),
        ("exit 4", "it ended with exit code 4"),
        ("kill -SEGV $$", "it crashed (SIGSEGV)"),
        ("kill -KILL $$", "it was killed, most likely because the machine ran out of memory"),
        ("echo hunter22; exit 1", "it ended with exit code 1: ***"),
    ],
)
def test_it_fails_in_one_line(ran: Ran, text: str, wrong: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        ran("bash", "-c", text)
    assert str(failed.value) == wrong


@pytest.mark.parametrize(
    ("content", "mode", "wrong"),
    [
        (None, 0, "was not found; name a script next to the pipeline file"),
        ("#!/no/such/interpreter\n", 0o700, "or the interpreter that its first line names, was not found"),
        ("no program", 0o700, "is no program; begin it with #! and its interpreter"),
        ("#!/bin/sh\n", 0o600, "may not be executed in the fence"),
    ],
)
def test_what_cannot_start_is_refused(ran: Ran, content: str | None, mode: int, wrong: str) -> None:
    program = ran.place / "program"
    if content is not None:
        program.write_text(content)
        program.chmod(mode)
    with pytest.raises(CommandRefused, match="program") as refused:
        ran(str(program))
    assert wrong in str(refused.value)


def test_more_time_than_it_may_take_stops_it_and_all_that_it_started(ran: Ran) -> None:
    text = "sleep 7771 & setsid sleep 7772 & (sleep 7773 & disown) ; wait"
    with pytest.raises(CommandFailed, match="longer than its timeout of 500ms and was stopped"):
        ran("bash", "-c", text, seconds=0.5)
    assert sleeping("777") == []


def test_more_memory_than_it_may_take_stops_it_also_in_a_child(ran: Ran) -> None:
    text = "import os, time\nif os.fork() == 0:\n  x = b'x' * (300 * 2**20)\n  time.sleep(60)\nos.wait()"
    with pytest.raises(CommandFailed, match="more than its 150 MB of memory and was stopped"):
        ran(sys.executable, "-c", text, memory=150 * MB)


def test_pages_that_processes_share_count_once(ran: Ran) -> None:
    text = (
        "import os\nx = b'x' * (80 * 2**20)\nfor _ in range(4):\n  if os.fork() == 0:\n    import time; time.sleep(1.5)\n"
        "    os._exit(0)\nfor _ in range(4): os.wait()"
    )
    ran(sys.executable, "-c", text, memory=200 * MB)


def test_what_it_leaves_in_the_background_ends_with_it(ran: Ran) -> None:
    ran("bash", "-c", "sleep 7781 & setsid sleep 7782 > /dev/null & exit 0")
    assert sleeping("778") == []


def test_an_interrupted_run_leaves_no_process(ran: Ran) -> None:
    class Interrupt(BaseException):
        pass

    def interrupt() -> None:
        if ran.lines:
            raise Interrupt

    fence = code_fence(ran.settings, write=(str(ran.place),))
    command = ("bash", "-c", "setsid sleep 7791 & echo up; sleep 7792")
    asked = Command(command, {"PATH": os.environ["PATH"]}, ran.place, 512 * MB, 60, ran.lines.append, interrupt)
    with pytest.raises(Interrupt):
        run_command(ran.settings, fence, asked)
    assert sleeping("779") == []


@pytest.mark.parametrize("fenced", [True, False])
def test_a_killed_worker_leaves_no_process_and_no_rows(drls_home: Path, fenced: bool) -> None:
    drls_home.mkdir(mode=0o700)
    if not fenced:
        (drls_home / "drls.toml").write_text('[fence]\nmode = "off"\n')
    code = f"""if True:
        import os
        from pathlib import Path
        from tests.drls_dagster.engine.test_command_process import Ran
        ran = Ran(Path({str(drls_home)!r}))
        ran.lines = type("Lines", (), {{"append": staticmethod(lambda line: print(line, ran.place, flush=True))}})()
        ran("bash", "-c", "echo rows > rows; setsid sleep 7761 & sleep 7762 & echo up; wait")
    """
    root = Path(__file__).parents[3]
    worker = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert worker.stdout is not None
    _, _, place = worker.stdout.readline().strip().partition(" ")
    wait_until(lambda: len(sleeping("776")) == 2, 60)  # the shell says `up` before its children became `sleep`
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    wait_until(lambda: not sleeping("776"), 10)
    wait_until(lambda: not (Path(place) / "rows").exists(), 10)


@pytest.mark.skipif(not landlock_abi(), reason="this kernel has no Landlock")
def test_it_reads_no_secret_of_the_home_and_harms_nobody_else(ran: Ran) -> None:
    home = ran.settings.home
    secret = home / "secret"
    secret.write_text("hunter22")
    other = subprocess.Popen(["sleep", "7751"])
    try:
        text = f"""cat {secret}; ls {home}; echo x > {home}/made; ln -s {secret} s; cat s; ln {secret} h; cat h
            cat /proc/{os.getpid()}/environ; kill -9 {other.pid}; kill -9 {os.getpid()}; chmod 777 {secret}; echo done"""
        told = ran("bash", "-c", text)
    finally:
        assert other.poll() is None
        other.kill()
        other.wait()
    assert told[-1] == "done"
    assert "***" not in "".join(told)
    refused = ("denied", "not permitted", "No such", "Invalid cross-device link")
    assert [line for line in told[:-1] if not any(words in line for words in refused)] == []
    assert secret.stat().st_mode & 0o777 != 0o777
    assert not (home / "made").exists()


@pytest.mark.skipif(not landlock_abi(), reason="this kernel has no Landlock")
def test_variables_of_the_command_reach_nothing_that_makes_its_fence(ran: Ran) -> None:
    # A preloaded library or a start-up file would run with the rights of DRLS, before the fence is there.
    (ran.place / "start.py").write_text("open('started', 'w')")
    told = ran("bash", "-c", "echo $LD_PRELOAD", env={"LD_PRELOAD": "/no/such.so", "PYTHONSTARTUP": "start.py"})
    assert told[-1] == "/no/such.so"
    assert not (ran.place / "started").exists()


def sleeping(seconds: str) -> list[int]:
    """The processes `sleep 777…` that run."""
    found: list[int] = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if words[0] == b"sleep" and words[1].decode().startswith(seconds) and state != "Z":
            found.append(int(pid))
    return found


def test_no_mark_of_a_command_is_left() -> None:
    assert processes_of("x", mark=MARK) == []


# What a command says over Dagster Pipes


def say(file: Path, method: str, /, **params: object) -> None:
    with file.open("a") as messages:
        messages.write(json.dumps({"__dagster_pipes_version": "0.1", "method": method, "params": params}) + "\n")


@pytest.fixture
def messages(tmp_path: Path) -> Messages:
    return Messages(tmp_path / "messages", [].append, lambda text: text.replace("hunter22", "***"))


def test_metadata_and_checks_are_shown_as_text_and_numbers(messages: Messages) -> None:
    value = {"raw_value": {"a": [1, "hunter22"]}, "type": "json"}
    given = {
        "rows": 3,
        "mean": float("inf"),
        "odd": "\ud800\0x",
        "parts": value,
        "big": 2**60,
        "huge": 10**400,
        "none": None,
    }
    say(messages.file, "report_asset_materialization", metadata=given)
    say(messages.file, "report_asset_check", check_name="ok", passed=True, severity="WARN", metadata={"n": 1})
    say(messages.file, "report_asset_check", check_name="bad", passed=False)
    messages.look()
    messages.close()
    assert messages.metadata == {
        "rows": 3, "mean": "Infinity", "odd": "?x", "parts": '{"a": [1, "***"]}', "big": str(2**60),
        "huge": str(10**400), "none": None
    }  # fmt: skip
    told = {one.name: (one.passed, one.blocking, one.message) for one in messages.checks.values()}
    assert told == {"ok": (True, False, "n: 1"), "bad": (False, True, "reported as failed")}


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"[]", b"null", b"3", b'{"method": "log"}', b'{"method": []}', b"\xff\xfe", b"[" * 100_000,
        b'{"method": "report_asset_check", "params": {"check_name": "x"}}',
        b'{"method": "report_asset_check", "params": {"check_name": "x", "passed": "yes"}}',
        b'{"method": "report_asset_materialization", "params": {"metadata": 3}}',
        b'{"method": "report_asset_check", "params": {"check_name": "x", "passed": true, "metadata": [1]}}',
        b'{"method": "closed", "params": {"exception": 3}}',
    ],
)  # fmt: skip
def test_a_message_that_is_none_is_passed_over(messages: Messages, line: bytes) -> None:
    messages.file.write_bytes(line + b"\n")
    say(messages.file, "report_asset_materialization", metadata={"rows": 3})
    messages.look()
    messages.close()
    assert (messages.metadata, messages.checks) == ({"rows": 3}, {})


def test_a_link_in_place_of_the_messages_shows_nothing(messages: Messages, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    say(secret, "report_asset_materialization", metadata={"secret": "hunter22"})
    messages.file.unlink()
    messages.file.symlink_to(secret)
    messages.look()
    messages.close()
    assert messages.metadata == {}


def test_a_flood_of_messages_is_cut(tmp_path: Path) -> None:
    logged: list[str] = []
    messages = Messages(tmp_path / "messages", logged.append)
    for number in range(MOST_LOGGED + 10):
        say(messages.file, "log", message=f"line {number}", level="INFO")
    say(messages.file, "report_asset_materialization", metadata={f"n{number}": number for number in range(500)})
    messages.look()
    messages.close()
    assert len(logged) == MOST_LOGGED + 1
    assert "logs more than 1000 messages" in logged[-1]
    assert len(messages.metadata) == 200
