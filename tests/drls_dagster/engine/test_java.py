from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from drls_dagster.engine import java
from drls_dagster.errors import DrlsError


def make_java(home: Path, version: str, *, release_file: bool = True) -> Path:
    """A folder that looks like a Java of this version."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-01' >&2\n")
    program.chmod(0o755)
    if release_file:
        (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return home


@pytest.fixture
def jvms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No Java but what a test puts into this folder."""
    folder = tmp_path / "jvm"
    folder.mkdir()
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(java, "_JVM_FOLDER", folder)
    return folder


@pytest.mark.parametrize(("text", "version"), [("17.0.15", 17), ("21", 21), ("21.0.3", 21)])
@pytest.mark.parametrize("release_file", [True, False])
def test_17_and_21_are_found(jvms: Path, text: str, version: int, release_file: bool) -> None:
    home = make_java(jvms / "some", text, release_file=release_file)
    assert java.find_java() == java.JavaHome(home, version)


def test_a_java_that_spark_cannot_use_is_passed_over(jvms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(jvms / "a-25", "25.0.1")))
    make_java(jvms / "b-8", "1.8.0_402")
    (jvms / "c-broken").mkdir()
    wanted = make_java(jvms / "d-17", "17.0.2")
    assert java.find_java().path == wanted


def test_java_home_wins_over_path_and_path_over_the_folder(
    jvms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_java(jvms / "a", "17")
    on_path = make_java(tmp_path / "on-path", "17")
    links = tmp_path / "bin"
    links.mkdir()
    (links / "java").symlink_to(on_path / "bin" / "java")
    monkeypatch.setenv("PATH", str(links))
    assert java.find_java().path == on_path
    chosen = make_java(tmp_path / "chosen", "21")
    monkeypatch.setenv("JAVA_HOME", str(chosen))
    assert java.find_java().path == chosen


def test_without_one_the_error_says_what_is_there_and_what_to_run(jvms: Path) -> None:
    make_java(jvms / "new", "25")
    with pytest.raises(
        DrlsError, match=r"found only Java 25 at .*new.*apt-get install -y openjdk-17-jre-headless"
    ):
        java.find_java()


def test_the_module_prints_one_line_and_no_traceback(jvms: Path) -> None:
    # The folder of this machine counts again in the subprocess, so either outcome may come.
    result = subprocess.run(
        [sys.executable, "-m", "drls_dagster.engine.java"], capture_output=True, text=True, check=False
    )
    assert len((result.stdout + result.stderr).strip().splitlines()) == 1
