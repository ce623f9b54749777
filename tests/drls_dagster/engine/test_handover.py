"""The engine gets what it works with, and nothing with which to act as somebody."""

from __future__ import annotations

from pathlib import Path

import pytest

from drls_dagster.engine.handover import credential_files, engine_environment, engine_settings, hand_over
from drls_dagster.fences.fences import is_on
from drls_dagster.private_home import private_home
from drls_dagster.settings import load_settings


def write(home: Path, text: str) -> None:
    private_home(home, "engine")
    (home / "drls.toml").write_text(text)


def test_the_engines_settings_are_those_it_works_with(drls_home: Path) -> None:
    write(
        drls_home,
        'landing = "/data"\n[engine]\ncores = 3\n[catalog.secrets]\npassword = "file:/run/pw"\n'
        '[lifecycle]\nurl = "postgresql://drls:sesame@db/drls"\n[notify]\nsmtp_password = "env:MAIL"\n',
    )
    settings = load_settings(drls_home)
    hand_over(settings)
    found = engine_settings(drls_home)
    assert (found.home, found.landing, found.engine, found.catalog) == (
        drls_home,
        "/data",
        settings.engine,
        settings.catalog,
    )
    assert found.lifecycle.url is None
    assert found.fence.mode == ("required" if is_on(settings) else "auto")
    (file,) = (drls_home / "engine").iterdir()
    assert "sesame" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_engines_environment_has_the_catalogs_credentials_and_no_others(
    drls_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(drls_home, '[catalog.secrets]\ntoken = "env:LAKE_TOKEN"\n[fence]\nenvironment = ["MODEL"]\n')
    kept = ("LAKE_TOKEN", "MODEL", "AWS_ACCESS_KEY_ID", "RAY_ADDRESS", "JAVA_TOOL_OPTIONS")
    dropped = (
        "DRLS_ENGINE__CORES",
        "DRLS_LIFECYCLE__URL",
        "DRLS_TOKEN",
        "DRLS_NOTIFY__SMTP_PASSWORD",
        "OPENAI_API_KEY",
        "DAGSTER_HOME",
    )
    for name in ("LAKE_TOKEN", *kept, *dropped):
        monkeypatch.setenv(name, "3")
    found = engine_environment(load_settings(drls_home), DRLS_ENGINE_ID="x")
    assert found["DRLS_ENGINE_ID"] == "x"
    assert set(kept) <= found.keys()
    assert not found.keys() & set(dropped)


def test_files_of_credentials_are_within_the_engines_reach(drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(drls_home, '[catalog.secrets]\ntoken = "file:/run/token"\n')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/run/google.json")
    assert {"/run/token", "/run/google.json"} <= set(credential_files(load_settings(drls_home)))
