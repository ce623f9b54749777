"""Finding 7: another account of the machine neither reads, plants nor swaps the code that runs."""

from __future__ import annotations

import os
import pwd
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drls_dagster.engine.code_folder import materialise
from drls_dagster.errors import DrlsError

FILES = {"etl/__init__.py": b"", "etl/words.txt": b"secret words"}
NOBODY = pwd.getpwnam("nobody")
root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another account")


def as_nobody(script: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/usr/bin/python3", "-c", script, *map(str, words)],
        user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[],
        capture_output=True, text=True, check=False, cwd="/", env={"PATH": os.environ["PATH"]},
    )  # fmt: skip


@pytest.fixture
def open_home(tmp_path: Path) -> Path:
    """A folder that every account can reach and write to."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tmp_path.anchor):
            break
        folder.chmod(folder.stat().st_mode | (0o077 if folder == tmp_path else 0o055))
    return tmp_path


@root_only
def test_another_account_cannot_read_or_change_the_files(open_home: Path) -> None:
    folder = materialise(FILES, open_home / "code")
    for script in (
        "import sys; print(open(sys.argv[1] + '/etl/words.txt').read())",
        "import sys; open(sys.argv[1] + '/etl/planted.py', 'w')",
        "import os, sys; os.rename(sys.argv[1], sys.argv[1] + 'x')",
    ):
        done = as_nobody(script, folder)
        assert done.returncode == 1, done.stdout
        assert "Permission denied" in done.stderr
    assert materialise(FILES, open_home / "code") == folder


@root_only
def test_a_code_folder_that_another_account_made_first_is_refused(open_home: Path) -> None:
    assert as_nobody("import os, sys; os.mkdir(sys.argv[1])", open_home / "code").returncode == 0
    with pytest.raises(DrlsError, match="belongs to another user, so no code runs from it"):
        materialise(FILES, open_home / "code")


@root_only
def test_a_link_in_the_place_of_the_code_folder_is_refused(open_home: Path) -> None:
    made = as_nobody("import os, sys; os.symlink('/tmp', sys.argv[1])", open_home / "code")
    assert made.returncode == 0, made.stderr
    with pytest.raises(DrlsError, match="belongs to another user"):
        materialise(FILES, open_home / "code")


@pytest.mark.parametrize("kind", ["edit", "plant", "link", "mode", "owner", "file", "gone"])
def test_what_was_changed_is_made_again(tmp_path: Path, kind: str) -> None:
    folder = materialise(FILES, tmp_path / "code")
    words = folder / "etl" / "words.txt"
    if kind == "edit":
        words.write_text("other words")
    elif kind == "plant":
        (folder / "etl" / "planted.py").write_text("")
    elif kind == "link":
        words.rename(tmp_path / "words.txt")
        words.symlink_to(tmp_path / "words.txt")
    elif kind == "mode":
        folder.chmod(0o777)
    elif kind == "owner" and os.getuid() == 0:
        os.chown(words, NOBODY.pw_uid, -1)
    elif kind == "file":
        folder.rename(tmp_path / "away")
        folder.write_text("")
    elif kind == "gone":
        folder.rename(tmp_path / "away")
    assert materialise(FILES, tmp_path / "code") == folder
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == {"etl", *FILES}
    assert words.read_bytes() == b"secret words"
    assert not words.is_symlink()
    for path in (folder, words):
        assert (path.stat().st_uid, path.stat().st_mode & 0o077) == (os.getuid(), 0)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing is left over"


def test_many_at_once_end_with_one_whole_folder(tmp_path: Path) -> None:
    first = materialise(FILES, tmp_path / "code")

    def use(number: int) -> Path:
        if number % 4 == 0:
            (first / "etl" / f"planted{number}.py").write_text("")
        return materialise(FILES, tmp_path / "code")

    with ThreadPoolExecutor(8) as several:
        # A planter finds the folder moved away now and then: that is his error, not the user's.
        done = [several.submit(use, number) for number in range(64)]
    failed = [one.exception() for one in done if one.exception() is not None]
    assert all(isinstance(error, FileNotFoundError) for error in failed), failed
    assert materialise(FILES, tmp_path / "code") == first
    assert [path.name for path in first.parent.iterdir()] == [first.name]
