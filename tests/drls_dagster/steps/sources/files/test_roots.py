"""File sources read landing and `[sources] roots`, and nothing else of this machine, whatever a path or link says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import EnvironmentSettings, LifecycleSettings, Settings, SourcesSettings, load_settings
from drls_dagster.steps.sources.files.explaining import explained
from drls_dagster.steps.sources.files.hive import folders_of
from drls_dagster.steps.sources.files.placing import Item
from drls_dagster.steps.sources.files.placing import place as put
from drls_dagster.steps.sources.files.roots import REMEDY, OutsideRoots, Roots
from drls_dagster.steps.sources.files.source import Files, FilesPin
from drls_dagster.steps.sources.files.storage import Local
from drls_dagster.steps.sources.pins import Place, Reader, SourceMissing
from lifecycle.domain.environment import Environment
from lifecycle.spec import FilesSource

TOKEN = "id\nthe-owners-token\n"


@pytest.fixture
def home(drls_home: Path) -> Path:
    """A home with a landing folder and something that no source may read."""
    (drls_home / "landing" / "deep").mkdir(parents=True)
    for name in ("landing/a.csv", "landing/deep/b.csv"):
        (drls_home / name).write_text("id\n1\n")
    (drls_home / "secret").write_text(TOKEN)
    return drls_home


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "reference").mkdir(parents=True)
    for name in ("reference/r.csv", "other.csv"):
        (folder / name).write_text("id\n1\n")
    return folder


def pinned(path: str, home: Path, environment: Environment = Environment.DEVELOPMENT, **settings: Any) -> FilesPin:
    given = Settings(home=home, **settings)
    return Files().pin("raw", FilesSource(format="csv", path=path), Place(given, environment, load_catalog(given)))


def names(pin: FilesPin) -> list[str]:
    return [file.name for file in pin.files]


def test_a_relative_path_is_named_as_the_pipeline_writes_it_and_pinned_where_it_lies(home: Path) -> None:
    pin = pinned("**/*.csv", home)
    assert names(pin) == ["a.csv", "deep/b.csv"]
    assert [file.place for file in pin.files] == [str(home / "landing/a.csv"), str(home / "landing/deep/b.csv")]
    assert Files().pinned(pin.stored()) == pin


@pytest.mark.parametrize(
    "path",
    [
        "{data}/reference/r.csv",
        "{data}/reference/*.csv",
        "file:{data}/reference/r.csv",
        "file://{data}/reference/r.csv",
        "file://localhost{data}/reference/r.csv",
        "FILE:////{data}/reference/r.csv",
        "file://{data}/refer%65nce/r.csv",
        "//{data}/reference/r.csv",
        "{home}/secret",
        "file:{home}/secret",
        "{home}/landing/%2e%2e/secret",
        "file://{home}/landing/%2e%2e/secret",
        "{home}/lan*/a.csv",
        "/etc/passwd",
        "/*/passwd",
        "file://elsewhere{data}/reference/r.csv",
        "s3://bucket/a.csv",
        "hdfs://cluster/a.csv",
    ],
)
def test_without_a_root_every_place_but_landing_is_refused(path: str, home: Path, outside: Path) -> None:
    with pytest.raises((OutsideRoots, SourceMissing)) as refused:
        pinned(path.format(data=outside, home=home), home)
    if not path.startswith("{home}/landing"):  # where `%2e` is part of a name
        assert str(refused.value).startswith("node 'raw': ")
        assert str(refused.value).endswith(REMEDY)
    assert "the-owners-token" not in str(refused.value)


@pytest.mark.parametrize("path", ["~/secret", "~root/a.csv", "file:", "a.csv/../../secret"])
def test_a_path_that_only_looks_like_another_place_begins_in_landing_or_is_none(path: str, home: Path) -> None:
    with pytest.raises((OutsideRoots, SourceMissing, ValueError)):
        pinned(path, home)


@pytest.mark.parametrize("root", ["{data}/reference", "{data}/reference/", "file://{data}/reference", "{data}/link"])
def test_a_root_is_read_by_its_whole_path_and_nothing_next_to_it(root: str, home: Path, outside: Path) -> None:
    (outside / "link").symlink_to(outside / "reference")
    (outside / "reference2").mkdir()
    sources = SourcesSettings(roots=(root.format(data=outside),))
    for spelled in (f"{outside}/reference/*.csv", f"file://{outside}/reference/r.csv", f"{outside}/link/r.csv"):
        (file,) = pinned(spelled, home, sources=sources).files
        assert file.place == str(outside / "reference/r.csv")
        assert file.name in {file.place, f"{outside}/link/r.csv"}
    for spelled in (f"{outside}/*.csv", f"{outside}/other.csv", f"{outside}/reference2/x.csv", f"{outside}/r*/r.csv"):
        with pytest.raises(OutsideRoots, match="is outside of landing and of"):
            pinned(spelled, home, sources=sources)


def test_an_environment_has_roots_of_its_own(home: Path, outside: Path) -> None:
    settings = {
        "sources": SourcesSettings(roots=(str(outside / "reference"),)),
        "environments": {"qa": EnvironmentSettings(roots=(str(outside),)), "uat": EnvironmentSettings(roots=())},
    }
    path = str(outside / "*.csv")
    assert names(pinned(path, home, Environment.QA, **settings)) == [str(outside / "other.csv")]
    for environment in (Environment.DEVELOPMENT, Environment.UAT, Environment.PRODUCTION):
        with pytest.raises(OutsideRoots):
            pinned(path, home, environment, **settings)


@pytest.mark.parametrize("path", ["l.csv", "*.csv", "**/*.csv", "[l].csv", "."])
def test_a_link_to_a_file_elsewhere_is_refused_by_its_name_and_only_the_owners_log_says_where_it_leads(
    path: str, home: Path
) -> None:
    (home / "landing/l.csv").symlink_to(home / "secret")
    with pytest.raises(OutsideRoots, match=r"^node 'raw': l\.csv ") as refused:
        pinned(path, home)
    assert str(home) not in str(refused.value)
    assert "secret" not in str(refused.value)
    assert f"l.csv leads to {home}/secret" in (home / "logs/runs.log").read_text()
    assert (home / "logs/runs.log").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("path", ["*/r.csv", "**/r.csv", "f*/*.csv", "folder/r.csv", "folder", "day=1", "day=*/r.csv"])
def test_a_link_to_a_folder_elsewhere_is_refused_before_it_is_listed(path: str, home: Path, outside: Path) -> None:
    for name in ("folder", "day=1"):
        (home / "landing" / name).symlink_to(outside / "reference")
    with pytest.raises(OutsideRoots, match=r"(folder|day=1)\S* is a link that leads outside"):
        pinned(path, home)
    with pytest.raises(PermissionError):
        Local(Roots.of(Settings(home=home), Environment.DEVELOPMENT).admits).entries(str(home / "landing/folder"))


def test_a_link_that_no_pattern_means_and_one_that_stays_inside_do_no_harm(home: Path, outside: Path) -> None:
    landing = home / "landing"
    (landing / "away.txt").symlink_to(outside / "other.csv")
    (landing / "day=1").symlink_to(landing / "deep")
    (landing / "deep/circle").symlink_to(landing)
    (landing / "c.csv").symlink_to("a.csv")
    pin = pinned("*.csv", home)
    assert [(file.name, Path(file.place).name) for file in pin.files] == [("a.csv", "a.csv"), ("c.csv", "a.csv")]
    assert names(pinned("day=1", home)) == ["day=1/b.csv"]
    assert set(names(pinned("**/b.csv", home))) >= {"deep/b.csv", "day=1/b.csv"}
    sources = SourcesSettings(roots=(str(outside),))
    assert names(pinned("away.txt", home, sources=sources)) == ["away.txt"]


def test_what_drls_keeps_for_itself_is_never_read_even_below_a_root(home: Path, tmp_path: Path) -> None:
    store = tmp_path / "store" / "life.db"
    for file in (store, tmp_path / "store/life.db-wal", tmp_path / "key", home / "warehouse/ns/t.parquet"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(TOKEN)
    (tmp_path / "to-home").symlink_to(home)
    settings = {
        "sources": SourcesSettings(roots=("/", str(home), str(tmp_path))),
        "lifecycle": LifecycleSettings(url=f"sqlite:///{store}"),
        "notify": {"webhook_secret": f"file:{tmp_path}/key"},
    }
    for path in (home / "secret", home / "sec*", tmp_path / "to-home/secret", store, f"{store}-wal", tmp_path / "k*",
                 home / "warehouse/ns/*", tmp_path / "store/*"):  # fmt: skip
        with pytest.raises(OutsideRoots, match="DRLS itself, which file sources never read"):
            pinned(str(path), home, **settings)
    (tmp_path / "home-2").mkdir()
    (tmp_path / "home-2/a.csv").write_text("id\n")
    assert names(pinned(str(tmp_path / "home-2/*"), home, **settings)) == [f"{tmp_path}/home-2/a.csv"]
    assert names(pinned("*.csv", home, **settings)) == ["a.csv"]
    assert names(pinned(f"{home}/landing/*.csv", home, **settings)) == [f"{home}/landing/a.csv"]


def test_a_home_that_is_its_own_landing_keeps_its_secrets(home: Path) -> None:
    with pytest.raises(OutsideRoots, match="belongs to DRLS itself"):
        pinned("secret", home, landing=str(home))


def test_d1_a_pinned_file_or_folder_that_becomes_a_link_is_a_change(home: Path) -> None:
    for replaced in ("landing/deep/b.csv", "landing/deep"):
        pin = pinned("deep/*.csv", home)
        Files().refuse_changed("raw", pin)
        moved = home / "moved" / replaced
        moved.parent.mkdir(parents=True, exist_ok=True)
        os.rename(home / replaced, moved)
        (home / replaced).symlink_to(moved)
        with pytest.raises(SourceMissing, match=r"node 'raw': deep/b\.csv changed since the run pinned it"):
            Files().refuse_changed("raw", pin)
        with pytest.raises(OSError, match=r"link|symbolic"):
            Local().open(pin.files[0].place)
        (home / replaced).unlink()
        os.rename(moved, home / replaced)


def test_a_link_gives_the_columns_of_its_own_name_and_not_of_where_it_leads(home: Path, tmp_path: Path) -> None:
    data = home / "landing/day=1"
    data.mkdir()
    (data / "a.csv").write_text("id\n1\n")
    (home / "landing/day=2").symlink_to(data)
    given = Settings(home=home)
    place = Place(given, Environment.DEVELOPMENT, load_catalog(given))
    reader = Reader(None, place, str(tmp_path / "stage"))  # pyright: ignore[reportArgumentType]
    for path, folder in (("day=1", data), ("day=2", tmp_path / "stage/read/day=2")):
        (file,) = pinned(path, home).files
        folders = folders_of("raw", [file.name], "", {})
        placed = put(reader, "raw", [Item(file.name, file.place, ".csv")], folders)
        assert Path(placed.paths[file.name]).parent == folder
        assert Path(placed.paths[file.name]).read_text() == "id\n1\n"


def test_a_path_with_credentials_or_options_of_a_server_is_refused_without_them(home: Path) -> None:
    for path in ("s3://key:hidden@bucket/a.csv", "s3://bucket/a.csv?endpoint_override=evil:80&secret_key=hidden"):
        with pytest.raises(OutsideRoots, match="takes no credentials and no options") as refused:
            pinned(path, home, sources=SourcesSettings(roots=("s3://bucket/",)))
        assert "hidden" not in str(refused.value)


def test_roots_come_from_the_file_and_from_the_environment_and_must_be_whole(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "drls.toml").write_text('[sources]\nroots = ["/data", "s3://b/p/"]\n[environments.qa]\nroots = ["/qa"]\n')
    settings = load_settings(home)
    assert settings.roots_for(Environment.PRODUCTION) == ("/data", "s3://b/p/")
    assert settings.roots_for(Environment.QA) == ("/qa",)
    monkeypatch.setenv("DRLS_SOURCES__ROOTS", '["/other"]')
    assert Settings(home=home).sources.roots == ("/other",)
    for wrong in ("data", "../data", "", "s3:bucket"):
        with pytest.raises(ValueError, match="is neither an absolute folder nor a URI"):
            SourcesSettings(roots=(wrong,))


def test_a_file_that_the_engines_fence_refuses_is_said_so() -> None:
    """Spark words it as a file that does not exist."""
    error = Exception(
        "[FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error while reading file file:///data/a%20b.csv. File does not "
        "exist. SQLSTATE: KD001\nCaused by: java.io.FileNotFoundException: /data/a b.csv (Permission denied)"
    )
    source = FilesSource(format="csv", path="/data/*.csv")
    told = explained(error, "raw", source, [("in.csv", "/data/in.csv"), ("a b.csv", "/data/a b.csv")], "/staging")
    assert str(told).startswith(
        "node 'raw': the engine may not read a b.csv; check the file's mode, or stop the engine"
    )
