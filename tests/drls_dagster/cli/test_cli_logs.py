"""`drls logs`: all processes of a home in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from drls_dagster.cli.main import run
from drls_dagster.logs import Follower, last_lines


@pytest.fixture
def home(drls_home: Path) -> Path:
    (drls_home / "logs").mkdir(parents=True)
    (drls_home / "engine").mkdir()
    (drls_home / "logs" / "web.log").write_text("one\ntwo\nthree\n")
    (drls_home / "logs" / "daemon.log").write_bytes(b"\xff broken\n")
    (drls_home / "engine" / "driver.log").write_text("Spark\n")
    return drls_home


def test_all_logs_with_their_names(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs", "-n", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "daemon │ \ufffd broken",
        "   web │ two",
        "   web │ three",
        "engine │ Spark",
    ]


def test_one_log_and_one_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs", "web", "-n", "1"]) == 0
    assert capsys.readouterr().out == "web │ three\n"
    assert run(["logs", "../secret"]) == 2
    assert "there is no log ../secret" in capsys.readouterr().err


def test_before_anything_was_started(drls_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs"]) == 0
    assert "nothing has been started" in capsys.readouterr().err


def test_the_last_lines_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_text("".join(f"line {number} {'x' * 100}\n" for number in range(5_000)))
    found = last_lines(log, 2_000)
    assert (len(found), found[0][:9], found[-1][:9]) == (2_000, "line 3000", "line 4999")
    assert last_lines(log, 0) == []


def test_following_goes_on_after_a_log_was_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("before\n")
    follower = Follower(log)
    with log.open("a") as more:
        more.write("whole\nhal")
    assert list(follower.lines()) == ["whole"]
    with log.open("a") as more:
        more.write("f\n")
    assert list(follower.lines()) == ["half"]
    log.rename(tmp_path / "web.log.1")
    log.write_text("new\n")
    assert list(follower.lines()) == ["new"]
