from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PROJECT = """
[project]
dependencies = ["Needed_One[extra]>=2"]
optional-dependencies.more = ["other==1.0"]
[dependency-groups]
dev = []
"""
GOOD = """needed-one[extra]==2.1 \\
    --hash=sha256:00
    # via drls-dagster (pyproject.toml)
other==1.0 ; sys_platform == 'linux' \\
    --hash=sha256:11
"""


def check(folder: Path, lock: str) -> subprocess.CompletedProcess[str]:
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "requirements.lock").write_text(lock)
    script = CHECKOUT / "scripts" / "check_lock.py"
    return subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)


def test_a_lock_that_fits_passes(tmp_path: Path) -> None:
    assert check(tmp_path, GOOD).returncode == 0


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        (GOOD.replace("2.1", "1.9"), "Needed_One[extra]>=2: requirements.lock has 1.9"),
        (GOOD.replace("other==1.0", "another==1.0"), "other==1.0: requirements.lock has no pin"),
        (GOOD + "--find-links wheels\n", "names a place: --find-links"),
        (GOOD + "# https://registry.example/simple\n", "names a place"),
        (GOOD + "here @ file:///wheels/x.whl\n", "names a place"),
    ],
)
def test_a_lock_that_does_not_fit_is_told_line_by_line(tmp_path: Path, lock: str, said: str) -> None:
    result = check(tmp_path, lock)
    assert result.returncode == 1
    assert said in result.stdout
    assert "make lock" in result.stderr
