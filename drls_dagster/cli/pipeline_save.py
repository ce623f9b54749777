"""`drls pipeline save FILE | DIR`: files become versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import key_option, number_type, print_model
from drls_dagster.cli.output import json_option, print_json
from drls_dagster.cli.pipeline_show import print_skipped, read_spec, warn_of_sources
from drls_dagster.errors import DrlsError, UsageError

if TYPE_CHECKING:
    from drls_dagster.lifecycle_client import Lifecycle
    from drls_dagster.pipeline_files import Loaded
    from lifecycle.domain.environment import Environment
    from lifecycle.verbs.answers import VersionInfo


@click.command()
@click.argument("path", metavar="FILE|DIR", type=click.Path(exists=True, path_type=Path))
@click.option("-m", "--message", default="", help="Describe what changed in this version.")
@click.option(
    "--on", type=number_type, metavar="VERSION", help="The version this one is based on. Default: the newest."
)
@click.option("--if-newest", metavar="DIGEST", help="Save only if this is the newest version's digest.")
@key_option
@json_option
def save(path: Path, message: str, on: int | None, if_newest: str | None, key: str | None, as_json: bool) -> None:
    """Save a pipeline file as a version and make it active in development.

    Saving the same content again returns the existing version. Given a folder, saves every pipeline file in it and its
    subfolders, one line each. A refused file does not affect the others; the command then exits with 1.
    """
    if path.is_dir():
        if on is not None or if_newest is not None or key is not None:
            raise UsageError(f"--on, --if-newest and --key work with one file, but {path} is a folder")
        _save_folder(path, message, as_json)
        return
    spec = read_spec(str(path))
    warn_of_sources(spec, path)
    with lifecycle() as client:
        saved = client.pipelines.save(
            spec,
            search_path=[path.parent.resolve()],
            message=message,
            on=on,
            if_newest=if_newest,
            key=key,
        )
    print_version(saved, as_json)


def print_version(saved: VersionInfo, as_json: bool) -> None:
    """A version that a command made."""
    if as_json:
        print_model(saved)
        return
    click.echo(f"{saved.pipeline} v{saved.number}, {saved.stage.value}, {saved.digest}")


@dataclass(frozen=True)
class _Outcome:
    """What became of a file: saved, unchanged or refused."""

    file: str
    outcome: str
    pipeline: str | None = None
    version: int | None = None
    digest: str | None = None
    active_in: tuple[Environment, ...] = ()
    reason: str | None = None

    def __str__(self) -> str:
        if self.reason is not None:
            return f"{self.file}: refused: {self.reason}"
        return f"{self.file}: {self.outcome} {self.pipeline} v{self.version}"


def _save_folder(folder: Path, message: str, as_json: bool) -> None:
    from drls_dagster.pipeline_files import read_file, refuse_twins, sort_files

    files, others = sort_files(folder)
    if not files:
        raise UsageError(f"{folder} has no pipeline files: none of its YAML and JSON files has a format_version")
    done: list[_Outcome] = []
    with lifecycle() as client:
        active = _active_in_development(client)
        if not as_json:
            print_skipped(others)
        for outcome in _outcomes(client, refuse_twins([read_file(file) for file in files]), active, message):
            done.append(outcome)
            if not as_json:
                click.echo(str(outcome))
    if as_json:
        print_json([asdict(one) for one in done])
    if any(one.reason is not None for one in done):
        # Each has said why.
        click.get_current_context().exit(1)


def _active_in_development(client: Lifecycle) -> Mapping[str, int]:
    from lifecycle.domain.environment import Environment

    return {one.pipeline: one.version for one in client.environments.active(Environment.DEVELOPMENT)}


def _outcomes(client: Lifecycle, loaded: list[Loaded], active: Mapping[str, int], message: str) -> Iterator[_Outcome]:
    """Saves what can be saved. Raises what would refuse every file: nobody is signed in, the store does not answer."""
    from lifecycle.errors import StoreError, Unauthorized, Unavailable

    for one in loaded:
        file = str(one.path)
        if one.spec is None:
            yield _Outcome(file, "refused", reason=_without_file(one.problem or "cannot be read", file))
            continue
        warn_of_sources(one.spec, one.path)
        try:
            saved = client.pipelines.save(one.spec, search_path=[one.path.parent.resolve()], message=message)
        except (Unauthorized, Unavailable, StoreError):
            raise
        except DrlsError as error:
            yield _Outcome(file, "refused", one.spec.name, reason=error.message)
            continue
        outcome = "unchanged" if active.get(saved.pipeline) == saved.number else "saved"
        yield _Outcome(file, outcome, saved.pipeline, saved.number, saved.digest, saved.active_in)


def _without_file(problem: str, file: str) -> str:
    """Several problems on one line; the file is named once."""
    return "; ".join(line.removeprefix(f"{file}: ") for line in problem.splitlines())
