"""The engine's fence names what Spark and Ray work on, and refuses a catalog that lies among the platform's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from drls_dagster import settings
from drls_dagster.errors import UsageError
from drls_dagster.fences import enter
from drls_dagster.fences.engine_fence import engine_fence
from drls_dagster.fences.places import without

pytestmark = pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock")


def test_names_the_engines_folders_and_nothing_of_the_platform(drls_home: Path) -> None:
    fence = engine_fence(settings.load_settings())
    assert fence is not None
    inside = {Path(one).relative_to(drls_home).parts[0] for one in fence.write if Path(one).is_relative_to(drls_home)}
    assert inside == {"engine", "staging", "warehouse", "catalog"}
    assert not any(drls_home.is_relative_to(one) for one in (*fence.read, *fence.write))


def test_what_sources_may_name_is_read_only(drls_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "home").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    monkeypatch.setenv("DRLS_CATALOG__URI", f"sqlite:///{drls_home}/catalog/catalog.db")
    monkeypatch.setenv("DRLS_SOURCES__ROOTS", f'["{tmp_path}/link", "{tmp_path}/none", "s3://bucket/"]')
    fence = engine_fence(settings.load_settings())
    assert fence is not None
    assert str(tmp_path / "data") in fence.read
    assert not any(str(tmp_path / "data") in one or "bucket" in one or "none" in one for one in fence.write)


def test_refuses_a_catalog_among_the_platforms_files(drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_CATALOG__URI", f"sqlite:///{drls_home}/lake.db")
    with pytest.raises(UsageError, match=r"catalog\.uri: .* folder of its own"):
        engine_fence(settings.load_settings())


@pytest.mark.parametrize(
    ("name", "value"), [("DRLS_LIFECYCLE__URL", "sqlite:///{shared}/store.db"), ("DAGSTER_HOME", "{shared}/dagster")]
)
def test_refuses_a_catalog_next_to_the_store_or_dagsters_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    shared = tmp_path / "shared"
    monkeypatch.setenv("DRLS_CATALOG__URI", f"sqlite:///{shared}/catalog.db")
    assert engine_fence(settings.load_settings()) is not None
    settings._load.cache_clear()
    monkeypatch.setenv(name, value.format(shared=shared))
    with pytest.raises(UsageError, match="a folder of its own"):
        engine_fence(settings.load_settings())


def test_a_place_around_the_home_is_allowed_but_for_the_home(tmp_path: Path) -> None:
    for name in ("a/home/secret", "a/data", "b"):
        (tmp_path / name).mkdir(parents=True)
    assert without([str(tmp_path)], tmp_path / "a" / "home") == (str(tmp_path / "a" / "data"), str(tmp_path / "b"))
