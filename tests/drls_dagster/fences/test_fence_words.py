"""What an error of fenced code says of the fence: the path and the setting, and nothing where the fence is not it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drls_dagster.fences.words import explained, refused


@pytest.mark.parametrize(
    "text",
    [
        "PermissionError: [Errno 13] Permission denied: '{}'",
        "OSError: [Errno 30] Read-only file system: '{}'",
        "java.io.FileNotFoundException: {} (Permission denied)",
        "[FAILED_READ_FILE] … Caused by: java.io.FileNotFoundException: File file:{} does not exist (Permission denied)",
        "java.nio.file.AccessDeniedException: {}",
    ],
)
def test_a_path_that_exists_could_not_be_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "model.bin"
    file.write_text("m")
    said = f"the fence does not let pipeline code read {file}; add its folder to [fence] read in drls.toml"
    assert explained(text.format(file)) == said
    missing = tmp_path / "new" / "out.csv"
    said = f"the fence does not let pipeline code write {missing}; add its folder to [fence] write in drls.toml"
    assert explained(text.format(missing)) == said


@pytest.mark.parametrize(
    "text",
    [
        "[PATH_NOT_FOUND] Path does not exist: file:{}. SQLSTATE: 42K03",
        "AnalysisException: Path does not exist: file:{}. SQLSTATE: 42K03",
        "Caused by: java.io.FileNotFoundException: File file:{} does not exist",
        "java.io.FileNotFoundException: {} (No such file or directory)",
        "java.lang.reflect.InvocationTargetException\nCaused by: java.nio.file.NoSuchFileException: {}",
    ],
)
def test_a_path_that_the_engine_does_not_see(drls_home: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "reference.csv"
    assert explained(text.format(file)) is None
    file.write_text("1")
    told = explained(text.format(file))
    assert told is not None
    assert told.startswith(f"the engine cannot read {file}: ")
    assert told.endswith("add its folder to [sources] roots or [fence] read in drls.toml")
    drls_home.mkdir()
    (drls_home / "secret").write_text("sesame")
    assert "DRLS keeps it for itself, and no setting opens it" in (explained(text.format(drls_home / "secret")) or "")


def test_other_errors_are_not_the_fences() -> None:
    assert explained("ValueError: no such thing") is None
    assert explained("ModuleNotFoundError: No module named 'nothing_of_that_name'") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_what_nobody_may_open_is_not_the_fences(tmp_path: Path) -> None:
    (tmp_path / "closed").touch(mode=0)
    assert refused(str(tmp_path / "closed"), writing=False) is None
