"""The `custom` step: Spark writes its inputs as files, a fenced command works on them, Spark reads what it left.

The output is materialised once per run key and recipe, and used again by retries and re-execution (D2).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drls_dagster.engine.code_output import write_to
from drls_dagster.engine.command_messages import Messages, Reported
from drls_dagster.engine.command_process import Command, CommandFailed, CommandRefused, run_command
from drls_dagster.errors import DrlsError
from drls_dagster.fences.fences import account_of, check_account, code_fence
from drls_dagster.fences.private_folder import clear_private_folders, make_private_folder
from drls_dagster.steps.command_folder import (
    PACKAGE,
    ROOM,
    Staged,
    environment_of,
    hand_over_all,
    lay_out,
    masking,
    out_of_reach,
)
from drls_dagster.steps.command_output import taken_out
from drls_dagster.steps.kept_output import File, kept_files, note_rows_read, read_back, stage
from drls_dagster.steps.reported import Report, ReportedFailure
from drls_dagster.steps.spark import StepFailed
from drls_dagster.steps.staging import forget, parquet_files, staging_folder
from drls_dagster.steps.version_code import code_of
from lifecycle.spec import AnyTransform, CustomTransform

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from drls_dagster.steps.frames import Frames
    from drls_dagster.steps.run import Reads
    from drls_dagster.steps.sources.tally import RowsRead


def refused(node: CustomTransform) -> str | None:
    """What this release does not run of it."""
    if node.image is not None:
        return f"this release runs no images ({node.image}), because it runs no Kubernetes Jobs; use command"
    return None


def build(
    frames: Frames, node: CustomTransform, reads: Reads, more: Callable[[], Mapping[str, Any]] = dict[str, Any]
) -> DataFrame:
    """The step's output as a frame over the files that came of it. `more`: what else its step.json says."""
    spark = frames.run.session.spark
    key = frames.key(node.id, reads)
    files = kept_files(frames.run, node.id, key, lambda: _materialise(frames, node, reads, key, more()))
    if node.infers:
        return spark.read.parquet(*(path for path, _, _ in files))
    if node.output_schema is None:
        return spark.createDataFrame([], "drls_nothing int").drop("drls_nothing")
    return read_back(frames.run, files, node.output_schema)


def report(frames: Frames, node: AnyTransform, reads: Reads) -> Report:
    """What the command reported when it ran for this recipe, in this run or the one that it resumes."""
    kept = frames.run.memory.checks(node.id, _reports(frames.key(node.id, reads))) or [{}]
    checks = tuple(Reported(**one) for one in kept[0].get("checks", ()))
    return Report(kept[0].get("metadata", {}), checks)


def _reports(key: str) -> str:
    return f"{key}_reported"


def _materialise(frames: Frames, node: CustomTransform, reads: Reads, key: str, more: Mapping[str, Any]) -> list[File]:
    run = frames.run
    settings = run.settings
    files = code_of(run, node.id)
    check_account(settings)
    account = account_of(settings)
    folder = staging_folder(settings, run.run_key, key)
    staged: dict[str, Staged] = {}
    read: dict[str, RowsRead] = {}
    for name in run.spec.upstream(node.id):
        inside = f"{folder}/in/{name}"
        read |= stage(frames, name, reads, inside, {})  # plain Parquet, which every reader knows
        staged[name] = Staged(inside, tuple(parquet_files(inside)), _schema_of(frames.frame(name, reads)))
    clear_private_folders(settings)
    place, kept = make_private_folder(settings), make_private_folder(settings)
    try:
        staged = out_of_reach(staged, kept)
        context = {**_context(frames, node, reads), **more}
        lay_out(place, files, staged, context)
        messages = Messages(place / ROOM / "messages", run.log, masking(settings))
        hand_over_all(place, account)
        try:
            _run(frames, node, place, staged, context, messages)
            judge(node, messages)
            found = taken_out(run, node, place, f"{folder}/out")
        finally:
            messages.close()
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
    forget(f"{folder}/in")
    said = {"metadata": messages.metadata, "checks": [asdict(one) for one in messages.checks.values()]}
    run.memory.record_checks(node.id, _reports(key), [said])
    note_rows_read(run, node.id, key, read)
    run.log(f"node '{node.id}': {sum(rows for _, rows, _ in found):,} rows in {len(found)} file(s)")
    return found


def _run(
    frames: Frames,
    node: CustomTransform,
    place: Path,
    staged: Mapping[str, Staged],
    context: Mapping[str, Any],
    messages: Messages,
) -> None:
    settings = frames.run.settings
    reachable = [one.folder for one in staged.values() if one.is_local]
    fence = code_fence(settings, read=(str(PACKAGE), *reachable), write=(str(place),))
    program = node.command[0].removeprefix("./")
    own = place / program
    command = (str(own) if own.is_file() else node.command[0], *node.command[1:])
    asked = Command(
        command,
        environment_of(settings, node, place, context),
        place,
        node.limits.memory_bytes,
        node.limits.timeout,
        on_line=_print,
        on_look=messages.look,
        mask=masking(settings),
    )
    where = f"{node.called} of node '{node.id}'"
    try:
        run_command(settings, fence, asked)
    except CommandRefused as error:
        raise StepFailed(f"{where}: {error}") from None
    except CommandFailed as error:
        raised = messages.raised if messages.raised not in str(error) else ""
        text = f"{error}; it raised {raised}" if raised else str(error)
        raise CommandFailed(f"{where}: {text}") from None
    except DrlsError as error:
        raise DrlsError(f"{where}: {error}") from None


def judge(node: CustomTransform, messages: Messages) -> None:
    """Raises where a blocking check that was reported failed, or one that the pipeline names was not reported."""
    checks = tuple(messages.checks.values())
    missing = [name for name in node.checks if name not in messages.checks]
    if missing:
        raise StepFailed(
            f"{node.called} of node '{node.id}' did not report the check '{missing[0]}', which the pipeline names; "
            "report it in every run, or remove it from checks"
        )
    failed = [one for one in checks if one.blocking and not one.passed]
    if failed:
        report = Report(messages.metadata, checks)
        said = "; ".join(f"{one.name}: {one.message}" for one in failed)
        raise ReportedFailure(f"{node.called} of node '{node.id}' reports failed checks: {said}", report)


def _schema_of(frame: DataFrame) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in frame.schema.fields}


def _context(frames: Frames, node: CustomTransform, reads: Reads) -> dict[str, Any]:
    """What the command learns of its run, apart from places."""
    run = frames.run
    window = run.window
    partition = None
    if window is not None:
        partition = {"keys": list(window.keys)}
        if window.start is not None and window.end is not None:
            partition |= {"start": window.start.isoformat(), "end": window.end.isoformat()}
    return {
        "pipeline": run.spec.name,
        "node": node.id,
        "environment": str(run.environment),
        "run_id": run.run_id,
        "run_key": run.run_key,
        "inputs": {},
        "output": {"schema": dict(node.output_schema or {})},
        "partition": partition,
        "parameters": json.loads(json.dumps(dict(run.parameters), default=str)),
        "pinned": {name: str(read.pin) for name, read in reads.items()},
    }


def _print(line: str) -> None:
    """To the output of the run's worker, which Dagster keeps for each step."""
    write_to("stdout", f"{line}\n".encode(errors="backslashreplace"))
