"""What the documentation says can be done: configurations load, commands run, links lead somewhere."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
import yaml

from drls_dagster.cli.main import run
from drls_dagster.errors import UsageError
from drls_dagster.fences.enter import landlock_abi
from drls_dagster.fences.fences import code_fence
from drls_dagster.lakehouse.catalog import load_catalog, spark_catalog_conf
from drls_dagster.orchestrator.dagster_yaml import missing_gate
from drls_dagster.settings import CatalogSettings, Settings, load_settings

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (CHECKOUT / page).read_text(), re.DOTALL | re.MULTILINE)


CATALOGS = blocks("docs/how-to/catalog.md", "toml")
COMMANDS = [
    line.partition(" > ")[0]
    for page in ("docs/how-to/tables.md", "docs/how-to/pipeline-files.md")
    for block in blocks(page, "sh")
    for line in block.splitlines()
    if "--engine spark" not in line  # tests/engine/test_spark_queries.py asks the engine
]


SESSIONS = ("docs/how-to/lifecycle.md", "docs/how-to/git.md", "docs/how-to/fences.md")
FENCES = blocks("docs/how-to/fences.md", "toml")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_to_other_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_picture_is_shown_by_a_page_and_there_is_one_folder_of_them() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)#:]+)\)", page.read_text())
    }
    kept = {*(CHECKOUT / "docs").rglob("*.png"), *(CHECKOUT / "docs").rglob("*.svg")}
    assert {path.resolve() for path in kept} == shown
    assert {path.parent.name for path in kept} == {"pictures"}


@pytest.mark.parametrize("text", CATALOGS, ids=lambda text: text.splitlines()[1])
def test_the_catalogs_of_the_how_to_can_be_configured(
    text: str, drls_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    for name in re.findall(r"env:(\w+)", text):
        monkeypatch.setenv(name, "hunter2")
    here = re.sub(r"file:/run/secrets/\w+", f"file:{secret}", text)
    catalog = CatalogSettings.model_validate(tomllib.loads(here)["catalog"])
    conf = spark_catalog_conf(Settings(home=drls_home, catalog=catalog))
    assert conf["spark.sql.catalog.lake"]
    assert ("hunter2" in conf.values()) == bool(catalog.secrets)


@pytest.mark.skipif(not landlock_abi(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("text", FENCES, ids=lambda text: text.splitlines()[1])
def test_the_fences_of_the_how_to_can_be_configured(text: str, drls_home: Path) -> None:
    drls_home.mkdir(mode=0o700)
    (drls_home / "drls.toml").write_text(text)
    given = tomllib.loads(text)["fence"]
    found = load_settings(drls_home).fence.model_dump(mode="json", include=set(given))
    assert found == given
    if "account" in given:
        with pytest.raises(UsageError, match=r"fence.account: (this machine has no account|only root can)"):
            code_fence(load_settings(drls_home))
        return
    assert (code_fence(load_settings(drls_home)) is None) is (given.get("mode") == "off")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_how_tos_run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    catalog = load_catalog()
    for namespace in ("flights", "flights__development"):
        catalog.create_namespace(namespace)
        table = catalog.create_table(f"{namespace}.daily_delays", schema=pa.schema([("carrier", pa.string())]))
        table.append(pa.table({"carrier": ["UA"]}))
        table.manage_snapshots().create_branch(table.snapshots()[0].snapshot_id, "qa").commit()
    program, *arguments = shlex.split(command)
    assert program == "drls"
    assert run(arguments) == 0


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader of the how-tos works."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(CHECKOUT / "docs")
    (tmp_path / "pipelines").mkdir()
    shutil.copy(CHECKOUT / "docs/pipeline-example.yaml", tmp_path / "pipelines/flights.yaml")
    return tmp_path


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("page", SESSIONS)
def test_the_commands_of_a_how_to_run_one_after_another(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in (line for block in blocks(page, "sh") for line in block.splitlines()):
        said, _, command = line.partition(" > ")[0].rpartition(" | ")
        monkeypatch.setattr("sys.stdin", io.StringIO(said.removeprefix("echo ").strip("'")))
        program, *arguments = shlex.split(command)
        assert program == "drls"
        assert run(arguments) == 0, line


@pytest.mark.usefixtures("checkout")
def test_tables_are_changed_as_the_how_to_says() -> None:
    catalog = load_catalog()
    catalog.create_namespace("flights__development")
    rows = pa.table({"carrier": ["UA", "AA"], "flights": pa.array([1, 2], pa.int32())})
    catalog.create_table("flights__development.daily_delays", schema=rows.schema).append(rows)
    for line in (line for block in blocks("docs/how-to/change-tables.md", "sh") for line in block.splitlines()):
        assert run(shlex.split(line)[1:]) == 0, line


@pytest.mark.slow
@pytest.mark.usefixtures("checkout")
def test_the_commands_of_maintenance_run_one_after_another(capsys: pytest.CaptureFixture[str]) -> None:
    catalog = load_catalog()
    catalog.create_namespace("flights__development")
    table = catalog.create_table("flights__development.daily_delays", schema=pa.schema([("carrier", pa.string())]))
    for carrier in ("UA", "AA"):
        table.append(pa.table({"carrier": [carrier]}))
    for line in (line for block in blocks("docs/how-to/maintenance.md", "sh") for line in block.splitlines()):
        program, *arguments = shlex.split(line)
        assert program == "drls"
        assert run(arguments) == 0, (line, capsys.readouterr().err)
    assert "flights__development.daily_delays" in capsys.readouterr().out


@pytest.mark.slow
def test_the_ci_recipe_validates_saves_and_promotes_to_qa(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own commands in a shell, but for the installation; at the store here instead of a server."""
    for command in ("user add ci --acts-for admin", "user grant ci DataEngineer"):
        assert run(command.split()) == 0
    capsys.readouterr()
    assert run(["token", "issue", "github", "--for", "ci", "--scope", "read", "--scope", "write"]) == 0
    token = capsys.readouterr().out.strip()
    (recipe,) = blocks("docs/how-to/git.md", "yaml")
    commands = checkout / "bin"
    commands.mkdir()
    (commands / "drls").write_text(f'#!/bin/sh\nexec {sys.executable} -m drls_dagster.cli.main "$@"\n')
    (commands / "drls").chmod(0o755)
    (commands / "python").symlink_to(sys.executable)
    environment = {
        **os.environ,
        "PATH": f"{commands}:{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "DRLS_TOKEN": token,
        "GITHUB_SHA": "0" * 40,
    }
    jobs = yaml.safe_load(recipe)["jobs"]
    steps = [step["run"] for job in ("validate", "release") for step in jobs[job]["steps"] if "run" in step]
    for again in range(2):
        for step in (step for step in steps if not step.startswith("pip ")):
            done = subprocess.run(
                ["bash", "-e", "-c", step], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        assert bool((checkout / "promote.txt").read_text()) is not again
    assert run(["env", "--json"]) == 0
    assert {"qa", "development"} == {one["environment"] for one in json.loads(capsys.readouterr().out)["active"]}


def test_the_components_of_the_how_to_load_and_its_dagster_yaml_has_the_gate(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *components, instance = blocks("docs/how-to/dagster-project.md", "yaml")
    (checkout / "dagster.yaml").write_text(instance)
    assert missing_gate(checkout / "dagster.yaml") == []
    with dg.DagsterInstance.from_config(str(checkout)) as found:
        assert type(found.run_coordinator).__name__ == "GatedRunCoordinator"
        assert type(found.run_launcher).__name__ == "GatedRunLauncher"
    assert run(["whoami"]) == 0
    monkeypatch.syspath_prepend(str(checkout / "src"))
    (checkout / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\nproject = {root_module = "of_docs"}\n'
    )
    for number, component in enumerate(components):
        folder = checkout / "src" / "of_docs" / "defs" / f"part{number}"
        folder.mkdir(parents=True)
        (folder / "defs.yaml").write_text(component)
        shutil.copy(CHECKOUT / "docs/pipeline-example.yaml", folder / "pipeline.yaml")
    for package in (checkout / "src" / "of_docs", checkout / "src" / "of_docs" / "defs"):
        (package / "__init__.py").touch()
    definitions = dg.load_from_defs_folder(path_within_project=checkout)
    assert "flights_daily" in {job.name for job in definitions.get_repository_def().get_all_jobs()}
    assert "production_deployments" in {sensor.name for sensor in definitions.sensors or ()}
