from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_subject.py"


def check(folder: Path, message: str) -> subprocess.CompletedProcess[str]:
    (folder / "message").write_text(message)
    command = [sys.executable, SCRIPT, folder / "message"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "message",
    [
        "Refuse a plan without evidence\n\nIt was accepted, and then stale.\n",
        "# A comment of git\nPass the plan on\n",
        "Bring tables along",
        "Merge branch 'x' into y, which has a subject that is longer than seventy-two characters",
        f"Add {'x' * 68}",
    ],
)
def test_a_good_subject_passes(tmp_path: Path, message: str) -> None:
    result = check(tmp_path, message)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (f"Add {'x' * 69}", "it has 73 characters: shorten it to 72"),
        ("Added a plan", "'Added' is not imperative"),
        ("Adds a plan", "'Adds' is not imperative"),
        ("Adding a plan", "'Adding' is not imperative"),
        ("refuse a plan", "begin with a capital letter"),
        ("Refuse a plan.", "leave out the period"),
        ("", "begin with a capital letter"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, message: str, said: str) -> None:
    result = check(tmp_path, message)
    assert result.returncode == 1
    assert said in result.stdout
