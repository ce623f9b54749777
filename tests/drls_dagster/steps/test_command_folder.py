"""The folder of a command and its output, in the fence of this machine and as another account, without Spark."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drls_dagster.engine.command_messages import Messages
from drls_dagster.engine.command_process import Command, run_command
from drls_dagster.fences.enter import landlock_abi
from drls_dagster.fences.fences import account_of, can_hide, code_fence
from drls_dagster.fences.private_folder import make_private_folder
from drls_dagster.settings import load_settings
from drls_dagster.steps.command_folder import (
    PACKAGE,
    ROOM,
    Staged,
    environment_of,
    hand_over_all,
    lay_out,
    out_of_reach,
)
from drls_dagster.steps.command_output import taken_out
from drls_dagster.steps.spark import StepFailed
from lifecycle.spec import CustomTransform

pytestmark = pytest.mark.skipif(not landlock_abi(), reason="this kernel has no Landlock")
AS_ACCOUNT = pytest.param(
    "nobody", marks=pytest.mark.skipif(os.geteuid() != 0 or not can_hide(), reason="only root can become an account")
)


class Work:
    def __init__(self, home: Path, account: str | None) -> None:
        home.mkdir(mode=0o700)
        if account:
            (home / "drls.toml").write_text(f'[fence]\naccount = "{account}"\n')
        self.settings = load_settings(home)
        self.staging = Path(self.settings.staging) / "run/key"
        self.lines: list[str] = []

    def __call__(self, text: str) -> list[Any]:
        node = CustomTransform(id="work", command=("bash", "work.sh"), output_schema={"id": "long"})
        raw = self.staging / "in/raw"
        raw.mkdir(mode=0o700, parents=True)
        pq.write_table(pa.table({"id": [1, 2]}), raw / "one.parquet")
        for one in (raw / "one.parquet", raw, raw.parent, self.staging, self.staging.parent):
            one.chmod(0o700 if one.is_dir() else 0o600)
        context: dict[str, Any] = {
            "pipeline": "p", "node": "work", "environment": "qa", "run_id": "r", "run_key": "k", "inputs": {},
            "output": {"schema": {"id": "long"}}, "partition": None, "parameters": {},
        }  # fmt: skip
        place, kept = make_private_folder(self.settings), make_private_folder(self.settings)
        staged = out_of_reach({"raw": Staged(str(raw), ("one.parquet",), {})}, kept)
        raw = self.inputs = Path(staged["raw"].folder)
        lay_out(place, {"work.sh": text.encode()}, staged, context)
        self.messages = Messages(place / ROOM / "messages", self.lines.append)
        account = account_of(self.settings)
        hand_over_all(place, account)
        fence = code_fence(self.settings, read=(str(PACKAGE), str(raw)), write=(str(place),))
        variables = environment_of(self.settings, node, place, context)
        run_command(
            self.settings,
            fence,
            Command(node.command, variables, place, 2**30, 60, self.lines.append, self.messages.look),
        )
        self.messages.close()
        run = cast(Any, SimpleNamespace(settings=self.settings))
        return taken_out(run, node, place, str(self.staging / "out"))


@pytest.fixture(params=[None, AS_ACCOUNT])
def work(request: pytest.FixtureRequest, drls_home: Path) -> Work:
    return Work(drls_home, request.param)


def test_rows_come_in_and_go_out_and_belong_to_drls(work: Work) -> None:
    ((file, rows, size),) = work(
        "cp inputs/raw/*.parquet output; echo x > /dev/stderr; id -u; echo '{}' >> $DRLS_MESSAGES"
    )
    account = account_of(work.settings)
    assert work.lines == ["x", str(account.uid if account else os.geteuid())]
    assert (rows, size, os.stat(file).st_uid) == (2, os.path.getsize(file), os.geteuid())
    assert pq.read_table(file)["id"].to_pylist() == [1, 2]
    assert work.settings.home.stat().st_mode & 0o077 == 0


def test_it_changes_no_input_and_sees_nothing_of_the_home(work: Work) -> None:
    home = work.settings.home
    (home / "secret").write_text("hunter22")
    work(
        f"cp inputs/raw/*.parquet output; cat {home}/secret {home}/drls.toml; ls {home} {home}/staging; "
        "echo x >> inputs/raw/one.parquet; rm inputs/raw/one.parquet; mv inputs/raw/one.parquet x; exit 0"
    )
    assert len(work.lines) >= 6
    assert "hunter22" not in "".join(work.lines)
    refused = ("denied", "No such file", "Read-only", "not permitted")
    assert [line for line in work.lines if not any(words in line for words in refused)] == []
    assert pq.read_table(work.inputs / "one.parquet").num_rows == 2


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("ln -s /etc/passwd output/a.parquet", "'a.parquet' in its output folder is a link"),
        ("rm -r output; ln -s inputs/raw output", "put a link in place of its output folder"),
        ("rm -r output", "it left no .parquet file in its output folder"),
    ],
)
def test_an_output_that_leads_elsewhere_is_refused(work: Work, text: str, wrong: str) -> None:
    with pytest.raises(StepFailed) as failed:
        work(text)
    assert wrong in str(failed.value)
    assert not (work.staging / "out").exists()
