"""The gate in dagster.yaml: what drls writes, what it leaves alone, what `drls doctor` finds missing."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from drls_dagster.cli.doctor_checks import gate
from drls_dagster.orchestrator import dagster_yaml as instance
from drls_dagster.orchestrator.dagster_yaml import DAGSTER_YAML, GATE_LINES, missing_gate, write_dagster_yaml
from drls_dagster.settings import load_settings

CHANGED = "telemetry: {enabled: true}\n"


def test_what_drls_writes_is_an_instance_with_the_gate(tmp_path: Path) -> None:
    write_dagster_yaml(tmp_path)
    assert missing_gate(tmp_path / "dagster.yaml") == []
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        assert type(made.run_coordinator).__name__ == "GatedRunCoordinator"
        assert type(made.run_launcher).__name__ == "GatedRunLauncher"
        (limit,) = made.run_coordinator.get_run_queue_config().tag_concurrency_limits  # pyright: ignore
        assert limit == {"key": "drls/lane", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}


def test_an_old_file_of_drls_is_brought_up_to_date_and_a_changed_one_is_left(tmp_path: Path) -> None:
    file = tmp_path / "dagster.yaml"
    file.write_text(instance._UNGATED)
    write_dagster_yaml(tmp_path)
    assert file.read_text() == DAGSTER_YAML
    file.write_text(CHANGED)
    write_dagster_yaml(tmp_path)
    assert file.read_text() == CHANGED
    assert [path.name for path in tmp_path.iterdir()] == ["dagster.yaml"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (DAGSTER_YAML, []),
        ("\n".join(GATE_LINES), []),
        (f"{GATE_LINES[0]}\nrun_launcher: {{module: drls_dagster.gate.k8s_launcher, class: GatedK8sRunLauncher}}", []),
        (CHANGED, ["the run coordinator", "the run launcher"]),
        (GATE_LINES[0], ["the run launcher"]),
        (GATE_LINES[1], ["the run coordinator"]),
        ("run_coordinator: {module: dagster, class: QueuedRunCoordinator}\n" + GATE_LINES[1], ["the run coordinator"]),
        ("[1]", ["is not a mapping"]),
        ("a: [", ["cannot be read"]),
    ],
)
def test_what_is_missing_is_told(text: str, told: list[str], tmp_path: Path) -> None:
    file = tmp_path / "dagster.yaml"
    file.write_text(text)
    found = missing_gate(file)
    assert len(found) == len(told)
    assert all(one in line for one, line in zip(told, found, strict=True))


def test_doctor_looks_at_the_instance_of_the_home_and_at_dagster_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings()
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    write_dagster_yaml(folder)
    assert gate(settings).state == "ok"
    own = tmp_path / "own"
    own.mkdir()
    (own / "dagster.yaml").write_text(CHANGED)
    monkeypatch.setenv("DAGSTER_HOME", str(own))
    found = gate(settings)
    assert found.state == "fail"
    assert f"{own}/dagster.yaml: the run coordinator is not DRLS's" in found.detail
    assert str(folder) not in found.detail
    assert all(line in (found.remedy or "") for line in GATE_LINES)
    (own / "dagster.yaml").write_text("\n".join(GATE_LINES))
    assert gate(settings).state == "ok"
