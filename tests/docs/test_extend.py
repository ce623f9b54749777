"""The worked examples of docs/how-to/extend.md, done in a copy of the packages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import Settings
from lifecycle.spec.writing import dump_yaml
from tests.docs.worked_examples import CHECKOUT, apply_example, copy_packages
from tests.lifecycle.life import make_spec

KINDS = ("Add a step kind", "Add a source kind")
COMPILED = """
from pathlib import Path
from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import parse_pipeline
from lifecycle.spec.writing import dump_yaml
for name in ("latest", "days"):
    spec = parse_pipeline(Path(f"pipelines/{name}.yaml").read_text())
    assert parse_pipeline(dump_yaml(spec)) == spec
    made = compile_pipeline(spec, Environment.DEVELOPMENT, Settings(home=Path("home")))
    for asset in made.resolve_all_asset_specs():
        print(asset.key.path[-1], *sorted(asset.kinds))
"""

VISITED = """
from pathlib import Path
from lifecycle.audit.keys import SigningKey
from lifecycle.store.store import Store
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.fakes.clock import FakeClock
from tests.lifecycle.app.everything import grant_on
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import SETUP, Life, make_spec
clock, data = FakeClock(), Path("data")
data.mkdir()
life = Life(Store.create("sqlite:///lifecycle.db", SigningKey.generate(), clock), data, clock)
with life.store.write(SETUP, "rotate") as unit:
    rotate_secret(unit)
for name in ("flights", "weather"):
    life.save(make_spec(name, tables=(f"{name}.daily",), owners=("team:air",)))
grant_on(life, "pia", "flights")
print(Visit(life, "pia").page("/owners"))
"""

VERBS = ("Add a verb", "Add a command group")
ASKED = """
import json, sys
from fastapi.testclient import TestClient
from drls_dagster.lifecycle_client import Adapters
from drls_dagster.lifecycle_client.opening import open_context
from drls_dagster.settings import load_settings
from lifecycle.app.site import create_site
client = TestClient(create_site(open_context(load_settings(), Adapters(), print)).api)
path = "/api/pipeline-defs/flights/activations"
assert path.replace("flights", "{name}") in client.get("/api/openapi.json").json()["paths"]
assert client.get(path).status_code == 401
token = (load_settings().home / "secret").read_text().strip()
found = client.get(path, headers={"Authorization": f"Bearer {token}"}, params={"environment": "development"})
print(json.dumps(found.json()["items"]))
"""


def python(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a Python that has the packages of `folder` prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def extend(folder: Path, sections: tuple[str, ...]) -> Path:
    copy_packages(folder)
    shutil.copy(CHECKOUT / "pyproject.toml", folder)
    added = [str(file) for section in sections for file in apply_example(section, folder) if file.suffix == ".py"]
    for command in (["check"], ["format", "--check"]):
        python(folder, "-m", "ruff", *command, "--no-cache", *added)
    return folder


def test_the_section_of_the_how_to_is_on_the_site(tmp_path: Path) -> None:
    folder = extend(tmp_path / "checkout", ("Add a section of pages",))
    shown = python(folder, "-c", VISITED, environment={"PYTHONPATH": f"{folder}{os.pathsep}{CHECKOUT}"})
    assert re.search(r'<a href="/owners" aria-current="page">Owners\s*</a>', shown)
    assert re.search(r'<h2>team:air</h2>.*?<a href="/pipelines/flights">flights</a>', shown, re.DOTALL)
    assert "weather" not in shown, "pia has a role on flights alone"


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    return extend(tmp_path / "checkout", KINDS)


@pytest.mark.slow
def test_the_verb_and_the_commands_of_the_how_to_answer_over_rest_and_on_the_command_line(tmp_path: Path) -> None:
    folder = extend(tmp_path / "checkout", VERBS)
    environment = {"DRLS_HOME": str(tmp_path / "home")}

    def drls(*arguments: str) -> str:
        return python(folder, "-m", "drls_dagster.cli.main", *arguments, environment=environment)

    assert "Show when versions became active." in drls("--help")
    for rows in (1, 2):
        (folder / "flights.yaml").write_text(dump_yaml(make_spec(rows=rows)))
        drls("pipeline", "save", "flights.yaml")
    listed = json.loads(drls("active", "list", "flights", "--json"))
    assert [(one["environment"], one["version"], one["until"] is None) for one in listed] == [
        ("development", 2, True),
        ("development", 1, False),
    ]
    answered = json.loads(python(folder, "-c", ASKED, environment=environment).splitlines()[-1])
    assert [(one["pipeline"], one["version"]) for one in answered] == [("flights", 2), ("flights", 1)]


def test_the_kinds_of_the_how_to_register_and_pipelines_with_them_validate_and_compile(extended: Path) -> None:
    assert set(python(extended, "-c", COMPILED).splitlines()) == {
        "changes csv",
        "newest spark",
        "customers iceberg table",
        "calendar calendar",
        "days iceberg table",
    }


@pytest.mark.slow
@pytest.mark.engine
def test_the_kinds_of_the_how_to_run(extended: Path, engine: Settings) -> None:
    landing = Path(engine.landing_for("development")) / "customers"
    landing.mkdir(parents=True, exist_ok=True)
    (landing / "a.csv").write_text("id,name,changed_at\n1,old,2024-01-01\n1,new,2024-02-01\n2,only,2024-01-15\n")
    for name in ("latest", "days"):
        arguments = ("-m", "drls_dagster.cli.main", "run", f"pipelines/{name}.yaml")
        python(extended, *arguments, environment={"DRLS_HOME": str(engine.home)})
    catalog = load_catalog(engine)
    rows = catalog.load_table("extend__development.customers").scan().to_arrow().to_pylist()
    assert sorted((row["id"], row["name"]) for row in rows) == [(1, "new"), (2, "only")]
    days = catalog.load_table("extend__development.days").scan().to_arrow()["day"].to_pylist()
    assert len(days) == len(set(days)) == (max(days) - min(days)).days + 1
    assert str(min(days)) == "2024-01-01"


@pytest.mark.slow
def test_the_kinds_of_the_how_to_have_the_types_that_the_packages_have(extended: Path) -> None:
    files = ("lifecycle/spec", "drls_dagster/steps")
    python(extended, "-m", "pyright", "--pythonpath", sys.executable, *files)
