"""A story that does not go as told stops with one line; what it says of bytes is counted from files."""

from __future__ import annotations

import io
from datetime import timedelta

import pyarrow as pa
import pytest
from rich.console import Console

from drls_dagster.cli.main import run
from drls_dagster.demo import Astray, Stage, Telling
from drls_dagster.demo.weight import Weight, weigh
from drls_dagster.errors import UsageError
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lifecycle_client.local import LocalLifecycle
from drls_dagster.settings import Settings
from lifecycle.domain.roles import Role
from lifecycle.usecases.context import Context


def test_a_scene_is_told_with_its_number_its_time_and_what_came_of_it() -> None:
    said = io.StringIO()
    telling = Telling(Console(file=said, width=60, markup=False, highlight=False))
    with telling.scene("Ada", "saves v1") as outcome:
        outcome.done("v1 is saved")
        outcome.refused("and refused " + "at length " * 9 + "http://127.0.0.1:3000/a/long/link/that/stays/whole")
    lines = said.getvalue().splitlines()
    assert lines[0] == " 1  Ada saves v1"
    assert lines[1].endswith("s  ✔ v1 is saved")
    assert lines[2].strip().startswith("✘ and refused at length")
    assert lines[-1].strip() == "http://127.0.0.1:3000/a/long/link/that/stays/whole"
    (scene,) = telling.scenes
    assert (scene.number, scene.who, scene.what) == (1, "Ada", "saves v1")
    assert scene.outcome.splitlines()[0] == "v1 is saved"


def test_a_scene_that_goes_astray_is_not_told_as_if_it_had_ended() -> None:
    telling = Telling()
    with pytest.raises(Astray), telling.scene("Ada", "saves v1"):
        raise Astray("she does not")
    assert telling.scenes == []


@pytest.fixture
def stage(settings: Settings) -> Stage:
    return Stage(settings, None, "flights_demo", ("flights_demo.t",))  # pyright: ignore[reportArgumentType]


def test_a_refusal_that_does_not_come_or_says_something_else_is_a_failure(stage: Stage) -> None:
    def refuse() -> None:
        raise UsageError("it is too late")

    assert stage.refusal(refuse, "too late") == "it is too late"
    with pytest.raises(Astray, match="with 'own work', but was refused with 'it is too late'"):
        stage.refusal(refuse, "own work")
    with pytest.raises(Astray, match="but was not"):
        stage.refusal(lambda: None, "too late")


def test_data_files_and_metadata_files_are_counted_apart(stage: Stage) -> None:
    catalog = load_catalog(stage.settings)
    catalog.create_namespace("flights_demo")
    table = catalog.create_table("flights_demo.t", schema=pa.schema([("x", pa.int64())]))
    assert stage.weigh() == Weight(0, 0, 1)
    table.append(pa.table({"x": [1, 2, 3]}))
    before = weigh(catalog, stage.tables)
    files = list(stage.settings.home.rglob("*.parquet"))
    assert (before.data_files, before.bytes) == (1, sum(file.stat().st_size for file in files))
    table.manage_snapshots().create_tag(table.snapshots()[0].snapshot_id, "release").commit()
    assert stage.weigh() - before == Weight(0, 0, 1)


@pytest.mark.parametrize(
    ("variable", "value", "code", "told"),
    [
        ("DRLS_URL", "https://drls.example.org", 2, "the store on this machine"),
        ("DRLS_LANDING", "s3://bucket/landing", 1, "in a local folder"),
    ],
)
def test_a_home_that_is_elsewhere_is_refused_in_one_line(
    variable: str, value: str, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    assert run(["demo"]) == code
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_story_that_goes_astray_ends_with_1_and_the_scenes_so_far(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRLS_ENGINE__SPARK_CONNECT", "sc://127.0.0.1:1")  # nothing listens there
    monkeypatch.setenv("DAGSTER_HOME", "")
    assert run(["demo"]) == 1
    said = capsys.readouterr()
    assert "flights_demo v1, sha256:" in said.out
    assert "Error: the run in development failed: " in said.err.splitlines()[-1]


def test_a1_without_an_admins_token_the_demo_is_refused_and_changes_nothing(
    settings: Settings,
    ctx: Context,
    admin: LocalLifecycle,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    admin.people.add("vic")
    admin.people.grant(Role.LEAD, person="vic")
    admin.people.set_password("vic", "correct horse battery")
    issued = admin.sign_in("vic", "correct horse battery", timedelta(minutes=5))
    (settings.home / "secret").unlink()
    for given, told in (("", "nobody is signed in"), (issued.secret, "this needs the role Admin")):
        monkeypatch.setenv("DRLS_TOKEN", given)
        assert run(["demo"]) == 1
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
    assert [person.name for person in admin.people.list()] == ["admin", "vic"]
    assert not (settings.home / "engine").exists()
    assert not (settings.home / "landing").exists()
