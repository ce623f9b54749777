"""What a command left, read in a fence of its own and moved to where Spark finds it."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.fs as pafs

from drls_dagster.engine import output_check
from drls_dagster.engine.command_process import Command, CommandFailed, run_command
from drls_dagster.engine.inside import open_inside
from drls_dagster.errors import DrlsError
from drls_dagster.fences.environment import code_environment
from drls_dagster.fences.fences import account_of, code_fence
from drls_dagster.fences.private_folder import make_private_folder
from drls_dagster.fences.reach import hand_over, take_back
from drls_dagster.lakehouse.columns import arrow_schema
from drls_dagster.steps.anchored import moved
from drls_dagster.steps.command_folder import OUTPUT, PACKAGE
from drls_dagster.steps.spark import StepFailed
from drls_dagster.storage import filesystem_of
from lifecycle import spec

if TYPE_CHECKING:
    from drls_dagster.fences.fence import Account
    from drls_dagster.steps.run import PipelineRun
    from lifecycle.spec import CustomTransform

_PACKAGES = {"drls_dagster": str(PACKAGE), "lifecycle": str(Path(spec.__file__).parents[1])}
_NAME = re.compile(r"part-\d{5}\.parquet")
_ANSWER, _REQUEST, _FILES = "answer.json", "request.json", "files"


def taken_out(run: PipelineRun, node: CustomTransform, place: Path, output: str) -> list[list[Any]]:
    """The step's files in the folder `output`: path, rows and bytes. Raises StepFailed where they are no output."""
    if node.output_schema is None and not node.infers:
        return []
    settings = run.settings
    account = account_of(settings)
    made = make_private_folder(settings, account)
    try:
        source = os.path.realpath(place / OUTPUT)
        if source != str(place.resolve() / OUTPUT):
            raise StepFailed(
                f"{node.called} of node '{node.id}' put a link in place of its output folder; write into it"
            )
        (made / _FILES).mkdir(mode=0o700)
        request = {
            "path": sys.path,
            "packages": _PACKAGES,
            "schema": None if node.output_schema is None else _serialized(node.output_schema),
            "output": source,
            "target": str(made / _FILES),
        }
        (made / _REQUEST).write_text(json.dumps(request))
        for one in (made / _FILES, made / _REQUEST):
            hand_over(one, account)
        fence = code_fence(settings, read=(source, *_PACKAGES.values()), write=(str(made),))
        command = [sys.executable, "-P", output_check.__file__, str(made / _REQUEST), str(made / _ANSWER)]
        limits = node.limits
        asked = Command(command, code_environment(settings, made), made, limits.memory_bytes, limits.timeout, _nothing)
        try:
            run_command(settings, fence, asked)
            with open_inside(made, _ANSWER, "r") as file:
                answer = json.load(file)
        except (CommandFailed, ValueError, FileNotFoundError) as error:
            raise StepFailed(f"the output of node '{node.id}' cannot be read: {error}") from None
        if "error" in answer:
            raise StepFailed(f"{node.called} of node '{node.id}': {answer['error']}")
        return [_moved(made / _FILES / name, rows, output, account) for name, rows in _told(answer, node)]
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _serialized(schema: Mapping[str, str]) -> str:
    return arrow_schema(schema).serialize().to_pybytes().hex()


def _told(answer: dict[str, Any], node: CustomTransform) -> list[tuple[str, int]]:
    """It read anybody's files, so what it says is looked at."""
    found: list[tuple[str, int]] = []
    for name, rows in answer["files"]:
        if not _NAME.fullmatch(name) or type(rows) is not int or rows < (0 if node.infers else 1):
            raise DrlsError(f"node '{node.id}': its output was not read as it should be; run again")
        found.append((name, rows))
    return found


def _moved(file: Path, rows: int, output: str, account: Account | None) -> list[Any]:
    target = f"{output}/{file.name}"
    filesystem, name = filesystem_of(target)
    found = os.lstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise DrlsError(f"{file.name} is not a file of its own; run again")
    if isinstance(filesystem, pafs.LocalFileSystem):
        take_back(file, account)
        moved(file, os.path.dirname(name))
    else:
        pafs.copy_files(str(file), name, source_filesystem=pafs.LocalFileSystem(), destination_filesystem=filesystem)
    return [target, rows, found.st_size]


def _nothing(_: str) -> None:
    """What the reader prints is of no use to people; its answer says what is wrong."""
