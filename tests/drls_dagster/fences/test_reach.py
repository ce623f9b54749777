"""What root opens for an account of pipeline code, and what stays closed to it. The modes of real files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from drls_dagster.fences.fence import Account
from drls_dagster.fences.reach import can_pass, closed_folders, hand_over, let_reach, let_read, readable_copy, take_back

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
NOBODY = Account("nobody", 65_534, 65_534)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A closed folder, as DRLS makes all of its own. Those above it are as before when the test is over."""
    above = {one: mode(one) for one in tmp_path.parents}
    made = tmp_path / "home"
    (made / "staging/run/step/in").mkdir(parents=True)
    for one in (made, *made.rglob("*")):
        one.chmod(0o700)
    (made / "staging/run/step/in/a.parquet").touch(0o600)
    yield made
    for one, (bits, uid, gid) in above.items():
        if mode(one) != (bits, uid, gid):
            os.chown(one, uid, gid)
            one.chmod(bits)


def mode(place: Path) -> tuple[int, int, int]:
    found = place.lstat()
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


def test_folders_on_the_way_can_be_passed_and_not_listed(home: Path) -> None:
    inner = home / "staging/run/step/in"
    let_reach(inner, NOBODY)
    assert {mode(one) for one in (inner, *inner.parents[:4])} == {(0o710, 0, NOBODY.gid)}
    assert mode(inner / "a.parquet") == (0o600, 0, 0)


def test_one_open_folder_on_the_way_hides_no_closed_one_above_it(home: Path) -> None:
    (home / "staging/run/step").chmod(0o755)
    let_reach(home / "staging/run/step", NOBODY)
    assert mode(home / "staging/run/step") == (0o755, 0, 0)
    assert mode(home / "staging/run") == (0o710, 0, NOBODY.gid)


def test_input_can_be_read_and_not_changed(home: Path) -> None:
    inner = home / "staging/run/step/in"
    (inner / "link").symlink_to("/etc/shadow")
    before = mode(Path("/etc/shadow"))
    let_read((inner, inner / "a.parquet", inner / "link"), NOBODY)
    assert mode(inner) == (0o750, 0, NOBODY.gid)
    assert mode(inner / "a.parquet") == (0o640, 0, NOBODY.gid)
    assert mode(Path("/etc/shadow")) == before


def test_a_private_folder_is_the_accounts_and_what_it_leaves_is_taken_back(home: Path) -> None:
    hand_over(home / "staging/run/step", NOBODY)
    assert mode(home / "staging/run/step") == (0o700, NOBODY.uid, NOBODY.gid)
    take_back(home / "staging/run/step", NOBODY)
    assert mode(home / "staging/run/step") == (0o700, 0, 0)


def test_what_somebody_else_has_stays_as_it_is(home: Path) -> None:
    file = home / "staging/run/step/in/a.parquet"
    os.chown(file, 1, 1)
    let_read((file,), NOBODY)
    assert mode(file) == (0o600, 1, 1)


def test_code_is_copied_for_it(home: Path, tmp_path: Path) -> None:
    (home / "code").mkdir(mode=0o700)
    (home / "code/rates.csv").write_text("1")
    (home / "code/rates.csv").chmod(0o600)
    into = tmp_path / "copy"
    into.mkdir(mode=0o700)
    copy = readable_copy(home / "code", into, NOBODY)
    assert (copy / "rates.csv").read_text() == "1"
    assert [mode(one) for one in (into, copy, copy / "rates.csv")] == [
        (0o750, 0, NOBODY.gid),
        (0o750, 0, NOBODY.gid),
        (0o640, 0, NOBODY.gid),
    ]
    assert mode(home / "code/rates.csv") == (0o600, 0, 0)


def test_without_an_account_nothing_changes(home: Path) -> None:
    inner = home / "staging/run/step/in"
    before = [mode(one) for one in (inner, *inner.parents[:4], inner / "a.parquet")]
    let_reach(inner, None)
    let_read((inner / "a.parquet",), None)
    hand_over(inner, None)
    take_back(inner, None)
    assert [mode(one) for one in (inner, *inner.parents[:4], inner / "a.parquet")] == before


def test_the_outermost_closed_folder_is_what_has_to_be_covered(home: Path, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    closed = closed_folders((str(home / "staging/run"), str(home / "staging"), "/usr", "/nowhere/at/all"), NOBODY)
    assert len(closed) == 1
    assert home.is_relative_to(closed[0])
    assert all(can_pass(one, NOBODY) for one in Path(closed[0]).parents)
