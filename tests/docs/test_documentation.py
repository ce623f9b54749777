"""What the documentation says can be done: configurations load, commands run, links lead somewhere."""

from __future__ import annotations

import io
import re
import shlex
import tomllib
from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.cli.main import run
from drls_dagster.lakehouse.catalog import load_catalog, spark_catalog_conf
from drls_dagster.settings import CatalogSettings, Settings

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
]


SESSIONS = [line for block in blocks("docs/how-to/lifecycle.md", "sh") for line in block.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_to_other_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


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


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_how_tos_run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    catalog = load_catalog()
    for namespace in ("flights", "flights__development"):
        catalog.create_namespace(namespace)
        table = catalog.create_table(f"{namespace}.daily_delays", schema=pa.schema([("x", pa.int64())]))
        table.append(pa.table({"x": [1]}))
        table.manage_snapshots().create_branch(table.snapshots()[0].snapshot_id, "qa").commit()
    program, *arguments = shlex.split(command)
    assert program == "drls"
    assert run(arguments) == 0


def test_the_commands_of_the_lifecycle_how_to_run_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(CHECKOUT / "docs")
    for line in SESSIONS:
        said, _, command = line.partition(" > ")[0].rpartition(" | ")
        monkeypatch.setattr("sys.stdin", io.StringIO(said.removeprefix("echo ").strip("'")))
        program, *arguments = shlex.split(command)
        assert program == "drls"
        assert run(arguments) == 0, line
