"""docs/how-to/notebooks.md and examples/notebooks: the commands, the settings and the notebook do what they say."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from datetime import date, timedelta
from pathlib import Path

import pytest

from drls_dagster.cli.main import run
from drls_dagster.notebook_settings import NotebookSettings
from lifecycle.domain.credentials import TokenScope
from lifecycle.spec.from_notebook import pipeline_from_notebook
from lifecycle.spec.notebook_cells import MARKS
from lifecycle.usecases.tokens import issue_token
from tests.docs.pages import HOW_TO, only_block
from tests.drls_dagster.notebooks.conftest import World
from tests.iceberg_tables import make_table

PAGE = (HOW_TO / "notebooks.md").read_text()
EXAMPLES = Path(__file__).parents[3] / "examples/notebooks"
EXAMPLE = EXAMPLES / "delays.py"
DAYS = {
    "day": [date(2013, 7, 1) + timedelta(days=at) for at in range(14)],
    "mean_delay": [float(at % 7) for at in range(14)],
    "flights": [2] * 14,
}


def test_its_marked_cells_are_a_pipeline() -> None:
    (cells,) = re.findall(r"^```python\n(@app.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    imports = "@app.cell\ndef _():\n    import marimo as mo\n    import drls_dagster as drls\n"
    spec = pipeline_from_notebook(f"import marimo\napp = marimo.App()\n{imports}\n{cells}", "busy_days")
    assert [one.id for one in spec.nodes] == ["delays", "busy_days", "busy_days_table", "busy_days_table_checks"]
    listed = re.findall(r"^\| `(\w+)", PAGE.partition("| mark |")[2].partition("\n\n")[0], re.MULTILINE)
    assert set(listed) == set(MARKS)


@pytest.mark.tables
@pytest.mark.slow
def test_its_commands_start_show_and_stop_the_callers_own(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issued = issue_token(
        world.life.ctx, world.life.as_("ada"), "page", scopes=tuple(TokenScope), life=timedelta(days=1),
        within=frozenset(TokenScope),
    )  # fmt: skip
    monkeypatch.setenv("DRLS_HOME", str(world.settings.home))
    monkeypatch.setenv("DRLS_TOKEN", issued.secret)
    told: list[str] = []
    for line in only_block(PAGE, "sh").splitlines():
        assert run(shlex.split(line)[1:]) == 0
        told.append(capsys.readouterr().out)
    assert all("/notebook/ada/" in one for one in told[:2])
    assert told[2] == "Your notebook is stopped.\n"
    browser = world.visit("ada")
    answer = browser.get("/api/notebook/status")
    assert (answer.json()["state"], answer.json()["path"]) == ("stopped", "/notebook/ada/")


def test_its_settings_are_those_there_are() -> None:
    given = tomllib.loads(only_block(PAGE, "toml"))["notebook"]
    assert NotebookSettings.model_validate(given) == NotebookSettings()
    assert set(given) == set(NotebookSettings.model_fields)


@pytest.mark.tables
@pytest.mark.slow
def test_the_example_runs_in_a_notebook_and_as_a_program(world: World, drls_home: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRLS_HOME", str(world.settings.home))
        make_table("flights__development.daily_delays", DAYS)
    world.start()
    shutil.copy(EXAMPLE, world.files() / "delays.py")
    shown = world.visit("ada").open("delays.py")
    assert "Sunday" in shown
    assert "MarimoException" not in shown
    shutil.copy(EXAMPLES / "late_days.py", world.files())
    shown = world.visit("ada").open("late_days.py")
    assert "late" in shown
    assert "Exception" not in shown, shown

    drls_home.mkdir(mode=0o700)
    make_table("flights__development.daily_delays", DAYS)
    program, page = shutil.copy(EXAMPLE, tmp_path), tmp_path / "delays.html"
    marimo = [sys.executable, "-m", "marimo", "export", "html", str(program), "-o", str(page), "--no-sandbox"]
    done = subprocess.run(marimo, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Sunday" in page.read_text()
