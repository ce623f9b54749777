"""The how-to that tells the demo's story by hand, typed line by line."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drls_dagster import settings
from drls_dagster.cli.demo_data import lay_out
from drls_dagster.cli.main import run
from drls_dagster.lakehouse.catalog import load_catalog
from lifecycle.domain.environment import Environment

CHECKOUT = Path(__file__).parents[2]
LINES = [
    line
    for block in re.findall(
        r"^```sh\n(.*?)^```", (CHECKOUT / "docs/how-to/demo.md").read_text(), re.DOTALL | re.MULTILINE
    )
    for line in block.splitlines()
]


@pytest.fixture
def _own_lifecycle(engine: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The home of the engine with a store and a signed-in person of its own, as an empty home has them."""
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    monkeypatch.setenv("DRLS_LIFECYCLE__URL", f"sqlite:///{tmp_path / 'lifecycle.db'}")
    monkeypatch.setenv("DAGSTER_HOME", "")  # `drls run` sets it for its process, which here is that of the tests
    secret = engine.home / "secret"
    kept = tmp_path / "kept"
    if secret.exists():
        shutil.move(secret, kept)
    catalog = load_catalog(engine)
    for namespace in ("my_flights", "my_flights__development"):
        for table in catalog.list_tables(namespace) if catalog.namespace_exists(namespace) else ():
            catalog.drop_table(table)
    yield
    secret.unlink(missing_ok=True)
    if kept.exists():
        shutil.move(kept, secret)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_own_lifecycle")
def test_the_story_can_be_typed(
    engine: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(CHECKOUT / "examples")
    lay_out(Path(engine.landing_for(Environment.DEVELOPMENT)))
    for line in LINES:
        if line.startswith("sed "):
            subprocess.run(["bash", "-c", line], check=True)
            continue
        said, _, command = line.rpartition(" | ")
        typed = subprocess.run(["bash", "-c", said or "echo"], check=True, capture_output=True, text=True).stdout
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        program, *arguments = shlex.split(command)
        assert program == "drls"
        assert run(arguments) == 0, f"{line}: {capsys.readouterr().err}"
    assert run(["env", "production", "--json"]) == 0
    assert '"pipeline": "my_flights"' in capsys.readouterr().out
