from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import psutil
import pytest

from drls_dagster import settings as settings_module
from drls_dagster.cli import doctor_checks
from drls_dagster.cli.doctor_checks import Finding
from drls_dagster.cli.main import run
from drls_dagster.fences.enter import landlock_abi
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.orchestrator.running_up import UpState, write_up
from drls_dagster.settings import load_settings


@pytest.fixture(autouse=True)
def _own_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports of its own: what listens on this machine must not decide a test."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setattr(doctor_checks, "PORTS", {"test": probe.getsockname()[1]})


def findings(capsys: pytest.CaptureFixture[str], exit_code: int) -> dict[str, Finding]:
    assert run(["doctor", "--json"]) == exit_code
    found = [Finding(**each) for each in json.loads(capsys.readouterr().out)]
    return {each.check: each for each in found}


def test_a_fresh_home_is_well_and_stays_unmade(drls_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = findings(capsys, 0)
    assert list(found) == [
        *(
            "python",
            "java",
            "settings",
            "home",
            "disk",
            "memory",
            "ports",
            "catalog",
            "jars",
            "engine",
            "fence",
            "lifecycle",
            "ledger",
        ),
        *("gate", "sensors"),
    ]
    assert found["home"].state == found["catalog"].state == found["engine"].state == "ok"
    assert found["jars"].state == "warn"
    assert not drls_home.exists()


def test_a_catalog_in_use_is_asked(drls_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load_catalog().create_namespace("flights")
    assert "1 namespaces" in findings(capsys, 0)["catalog"].detail


def test_a_catalog_that_does_not_answer_fails(
    drls_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DRLS_CATALOG__URI", f"postgresql://ada@127.0.0.1:{reserved.getsockname()[1]}/lake")
        assert "refused" in findings(capsys, 1)["catalog"].detail


def test_an_open_home_is_a_warning_with_the_line_to_run(drls_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drls_home.mkdir(mode=0o755)
    found = findings(capsys, 0)["home"]
    assert (found.state, found.remedy) == ("warn", f"Run: chmod 700 {drls_home}")


def test_a_home_that_is_a_file_fails(drls_home: Path) -> None:
    drls_home.write_text("")
    assert doctor_checks.home_permissions(load_settings()).state == "fail"


def test_wrong_settings_fail_and_the_rest_is_still_told(drls_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drls_home.mkdir(mode=0o700)
    (drls_home / "drls.toml").write_text("not toml")
    found = findings(capsys, 1)
    assert found["settings"].state == "fail"
    assert "python" in found


def test_an_unknown_name_in_the_settings_is_a_warning(drls_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drls_home.mkdir(mode=0o700)
    (drls_home / "drls.toml").write_text("[catalogue]\n")
    assert "catalogue" in findings(capsys, 0)["settings"].detail


def test_a_port_in_use_and_little_memory_are_warnings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRLS_ENGINE__EXECUTORS", "9000")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setattr(doctor_checks, "PORTS", {"Dagster": port})
        found = findings(capsys, 0)
    assert found["ports"].detail == f"in use: {port} (Dagster)"
    assert found["memory"].state == "warn"


def test_the_port_of_this_home_s_own_app_is_no_warning(
    monkeypatch: pytest.MonkeyPatch, drls_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setattr(doctor_checks, "PORTS", {"approvals app": port})
        me = psutil.Process()
        drls_home.mkdir(mode=0o700)
        write_up(load_settings(), UpState("mine", me.pid, me.create_time(), f"http://127.0.0.1:{port}", "t"))
        found = findings(capsys, 0)
    assert (found["ports"].state, found["ports"].detail) == (
        "ok",
        f"`drls up` runs in this home at http://127.0.0.1:{port}; the other ports are free",
    )


def test_a_check_that_breaks_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_settings: object) -> Finding:
        raise ValueError("oh")

    monkeypatch.setattr(doctor_checks, "CHECKS", [broken, doctor_checks.disk])
    found = findings(capsys, 1)
    assert found["broken"].detail == "ValueError: oh"
    assert "disk" in found


def test_for_people_each_finding_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok   python")


def test_a_fence_that_is_off_is_a_warning_and_where_it_is_required_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRLS_FENCE__MODE", "off")
    found = findings(capsys, 0)["fence"]
    said = "fence.mode is off: pipeline code acts as the account that runs DRLS"
    assert (found.state, found.detail) == ("warn", said)
    assert found.remedy is not None
    assert "DataEngineer only to people" in found.remedy


def test_where_a_fence_is_required_and_none_is_possible_doctor_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRLS_FENCE__MODE", "required")
    monkeypatch.setenv("DRLS_ENGINE__SPARK_CONNECT", "sc://elsewhere:15002")
    found = findings(capsys, 1)["fence"]
    assert found.state == "fail"
    assert "an engine that DRLS does not start" in found.detail


def test_an_account_for_pipeline_code_that_cannot_be_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRLS_FENCE__ACCOUNT", "nobody-here")
    found = findings(capsys, 1)["fence"]
    said = "this machine has no account 'nobody-here'" if os.geteuid() == 0 else "only root can run pipeline code as"
    assert (found.state, said in found.detail) == ("fail", True)


@pytest.mark.skipif(not landlock_abi(), reason="this kernel has no Landlock")
def test_doctor_says_which_fence_is_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = findings(capsys, 0)["fence"]
    assert found.state == "ok"
    assert f"Landlock ABI {landlock_abi()} and seccomp" in found.detail
    assert "the network is open to it" in found.detail
    monkeypatch.setenv("DRLS_FENCE__NETWORK", "listed")
    monkeypatch.setenv("DRLS_FENCE__PORTS", "[443, 5432]")
    settings_module._load.cache_clear()
    assert "it can reach TCP ports 443, 5432" in findings(capsys, 0)["fence"].detail
