"""The frame of the command line: exit codes, errors, help and what it imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from drls_dagster.cli.main import COMMANDS, run

DRLS = [sys.executable, "-m", "drls_dagster.cli.main"]


def drls(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DRLS, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from drls_dagster.cli.main import run; run(['--help'])\n"
        "heavy = {'pydantic', 'dagster', 'pyiceberg', 'pyarrow', 'rich', 'sqlalchemy', 'lifecycle.spec'}\n"
        "print('imported:', sorted(heavy & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("imported: []\n")
    for name, (_module, _attribute, text) in COMMANDS.items():
        assert name in result.stdout
        assert text in result.stdout


def test_every_command_is_where_the_mapping_says_and_has_help() -> None:
    for name in COMMANDS:
        assert run([name, "--help"]) == 0


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"drls {version('drls-dagster')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tabel"], "Did you mean 'table'?"),
        (["table", "show"], "drls table show --help"),
        (["table", "list", "--nope"], "--nope"),
        (["table", "preview", "a.b", "--limit", "0"], "--limit"),
        (["table", "preview", "a.b", "--snapshot", "1", "--ref", "x"], "not both"),
        (["table", "show", ""], "a table name is required"),
        (["promote", "flights"], "Missing option '--to'. Choose from: development, qa, uat, production"),
        (["approvals", "approve", "9" * 24], "is out of range"),
        (["approvals", "approve", "9" * 5000], "is not a number"),
        (["approvals", "approve", "abc"], "'abc' is not a number"),
        (["approvals", "list", "--before", "9" * 24], "is out of range"),
        (["audit", "log", "--before", "0"], "0 is out of range"),
        (["drift", "adopt", "9" * 24], "is out of range"),
        (["token", "revoke", "9" * 24], "is out of range"),
        (["user", "revoke", "-1"], "-1"),
        (["pipeline", "show", "flights@" + "9" * 24], "is not a version"),
        (["pipeline", "show", "flights@0"], "0 is out of range"),
    ],
)
def test_wrong_use_is_two_and_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Commands" in capsys.readouterr().err


def test_a_failure_is_one_and_one_line_without_a_traceback() -> None:
    result = drls("table", "show", "a.b")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Error: there is no table a.b; `drls table list` shows all tables\n"


def test_drls_debug_shows_the_traceback() -> None:
    result = drls("table", "show", "a.b", DRLS_DEBUG="1")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_errors_are_json_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "show", "a.b", "--json"]) == 1
    assert "no table a.b" in json.loads(capsys.readouterr().err)["error"]
    assert run(["table", "show", "--json"]) == 2
    assert "NAME" in json.loads(capsys.readouterr().err)["error"]


def test_settings_that_cannot_be_are_wrong_use(drls_home: Path) -> None:
    drls_home.mkdir()
    (drls_home / "drls.toml").write_text('[catalog]\ntype = "cupboard"\n')
    result = drls("table", "list")
    assert result.returncode == 2
    assert "drls.toml" in result.stderr
    assert "catalog.type" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_setting_that_is_no_number_is_said_in_words() -> None:
    result = drls("status", DRLS_WEB__PORT="abc")
    assert result.returncode == 2
    assert result.stderr.endswith("DRLS_WEB__PORT: web.port must be a number, not 'abc'\n")


def test_a_home_that_cannot_be_made_is_said_with_the_reason() -> None:
    result = drls("whoami", DRLS_HOME="/proc/nope")
    assert result.returncode == 2
    assert result.stderr == (
        "Error: DRLS_HOME: /proc/nope cannot be created: No such file or directory; choose a folder you own\n"
    )


def test_a_defect_is_named_as_one_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(COMMANDS, "table", ("drls_dagster.cli.table", "not_there", ""))
    assert run(["table", "list"]) == 1
    err = capsys.readouterr().err
    assert "AttributeError" in err
    assert "DRLS_DEBUG=1" in err
    assert err.count("\n") == 1


def test_an_interrupt_is_130_and_clean(tmp_path: Path) -> None:
    # A fifo holds the command where it opens the file, so that the signal meets it at work.
    fifo = tmp_path / "pipeline.yaml"
    os.mkfifo(fifo)
    # A shell that runs tests in the background has them ignore the signal.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from drls_dagster.cli.main import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "pipeline", "validate", str(fifo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with fifo.open("w"):
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.strip() == "Error: Interrupted."


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen([*DRLS, "pipeline", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == ""
    assert process.wait(timeout=60) == 128 + signal.SIGPIPE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_DRLS_COMPLETE" in capsys.readouterr().out


def test_completing_a_command_imports_no_command() -> None:
    code = (
        "import sys; from drls_dagster.cli.main import cli\n"
        "context = cli.make_context('drls', [], resilient_parsing=True)\n"
        "print([item.value for item in cli.shell_complete(context, 'ta')])\n"
        "print('drls_dagster.cli.table' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "['table']\nFalse\n"
