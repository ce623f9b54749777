"""The folder in which a command runs, and the variables that it gets.

FOLDER/              where it starts: the files that were saved with the version
    inputs/NODE/     the Parquet files of each node above, to be read
    output/          where it leaves Parquet files
    tmp/             TMPDIR and HOME
    .drls/           step.json, and the two files of Dagster Pipes
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.fs as pafs

from drls_dagster.engine import output_check
from drls_dagster.engine.command_messages import pipes_environment
from drls_dagster.fences.reach import hand_over, let_read
from drls_dagster.steps.anchored import taken
from drls_dagster.storage import filesystem_of

if TYPE_CHECKING:
    from drls_dagster.fences.fence import Account
    from drls_dagster.settings import Settings
    from lifecycle.spec import CustomTransform

PACKAGE = Path(output_check.__file__).parents[1]  # drls_dagster
ROOM = ".drls"
INPUTS, OUTPUT, TMP = "inputs", "output", "tmp"
_SECRET = 6  # letters, from which on a value is masked


@dataclass(frozen=True)
class Staged:
    """An input as Spark wrote it."""

    folder: str
    files: tuple[str, ...]  # names in it
    schema: Mapping[str, str]

    @property
    def is_local(self) -> bool:
        return isinstance(filesystem_of(self.folder)[0], pafs.LocalFileSystem)


def out_of_reach(staged: Mapping[str, Staged], kept: Path) -> dict[str, Staged]:
    """The inputs, those of this machine moved to `kept`: the command's fence opens what is there.

    In staging the engine could put a link in their place, to files that only DRLS may read.
    """
    found: dict[str, Staged] = {}
    for node, one in staged.items():
        found[node] = one
        if one.is_local:
            taken(filesystem_of(one.folder)[1], kept / node)
            found[node] = replace(one, folder=str(kept / node))
    return found


def lay_out(place: Path, files: Mapping[str, bytes], staged: Mapping[str, Staged], context: dict[str, Any]) -> None:
    """Put everything into the folder, and the places into `context`, which the command reads as step.json."""
    for path, content in files.items():
        where = place / path
        where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = 0o700 if content.startswith(b"#!") else 0o600
        with os.fdopen(os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    for name in (INPUTS, OUTPUT, TMP, ROOM):
        (place / name).mkdir(mode=0o700)
    for node, one in staged.items():
        inside = place / INPUTS / node
        if one.is_local:
            inside.symlink_to(filesystem_of(one.folder)[1])
        else:
            inside.mkdir(mode=0o700)
            filesystem, name = filesystem_of(one.folder)
            for file in one.files:
                pafs.copy_files(f"{name}/{file}", str(inside / file), source_filesystem=filesystem)
        context["inputs"][node] = {
            "folder": str(inside),
            "files": [str(inside / file) for file in one.files],
            "schema": dict(one.schema),
        }
    context["output"]["folder"] = str(place / OUTPUT)
    context["messages"] = str(place / ROOM / "messages")
    (place / ROOM / "step.json").write_text(json.dumps(context))
    (place / ROOM / "pipes.json").write_text(json.dumps(_pipes(context)))
    # The helper for authors: of the DRLS that runs, whatever Python the command is.
    (place / ROOM / "python").mkdir(mode=0o700)
    (place / ROOM / "python" / "drls_dagster").symlink_to(PACKAGE)


def _pipes(context: Mapping[str, Any]) -> dict[str, Any]:
    """The context of Dagster Pipes."""
    partition = context["partition"]
    keys = partition["keys"] if partition else []
    window = {"start": partition["start"], "end": partition["end"]} if partition and "start" in partition else None
    asset = "/".join((context["environment"], context["pipeline"], context["node"]))
    return {
        "asset_keys": [asset],
        "code_version_by_asset_key": {asset: None},
        "provenance_by_asset_key": {asset: None},
        "partition_key": keys[0] if len(keys) == 1 else None,
        "partition_key_range": {"start": keys[0], "end": keys[-1]} if keys else None,
        "partition_time_window": window,
        "run_id": context["run_id"],
        "job_name": context["pipeline"],
        "retry_number": 0,
        "extras": {"drls": context},
    }


def hand_over_all(place: Path, account: Account | None) -> None:
    """Make the folder and all in it the account's own, and the inputs readable for it. Its fence shows it the way."""
    if account is None:
        return
    for one in (place, *place.rglob("*")):
        hand_over(one, account)
    for node in (place / INPUTS).iterdir():
        if node.is_symlink():
            folder = node.resolve()
            let_read((folder, *(one for one in folder.iterdir() if one.is_file())), account)


def environment_of(
    settings: Settings, node: CustomTransform, place: Path, context: Mapping[str, Any]
) -> dict[str, str]:
    """All variables of the command: what it needs to find its way, what the step names, what the operator allows."""
    partition = context["partition"] or {}
    found = {
        "PATH": os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath))),
        "HOME": str(place / TMP),
        "TMPDIR": str(place / TMP),
        "PYTHONPATH": os.pathsep.join((str(place / ROOM / "python"), str(place))),
        "DRLS_STEP": str(place / ROOM / "step.json"),
        "DRLS_INPUTS": str(place / INPUTS),
        "DRLS_OUTPUT": str(place / OUTPUT),
        "DRLS_MESSAGES": str(place / ROOM / "messages"),
        "DRLS_PIPELINE": context["pipeline"],
        "DRLS_NODE": context["node"],
        "DRLS_ENVIRONMENT": context["environment"],
        **{f"DRLS_PARAM_{name.upper()}": _text(value) for name, value in context["parameters"].items()},
        **pipes_environment(place / ROOM / "pipes.json", place / ROOM / "messages"),
    }
    if partition:
        found["DRLS_PARTITION"] = ",".join(partition["keys"])
        found |= {f"DRLS_PARTITION_{end.upper()}": partition[end] for end in ("start", "end") if end in partition}
    if settings.fence.network == "listed":
        found["RES_OPTIONS"] = "use-vc"
    defaults = {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    return {**defaults, **allowed(settings), **node.env, **found}


def allowed(settings: Settings) -> dict[str, str]:
    """The variables of DRLS that the operator lets pipeline code have."""
    return {name: os.environ[name] for name in settings.fence.environment if name in os.environ}


def masking(settings: Settings) -> Callable[[str], str]:
    """Puts *** for the values that the operator lets pipeline code have: some are secrets."""
    secrets = sorted({value for value in allowed(settings).values() if len(value) >= _SECRET}, key=len, reverse=True)

    def mask(text: str) -> str:
        for one in secrets:
            text = text.replace(one, "***")
        return text

    return mask


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
