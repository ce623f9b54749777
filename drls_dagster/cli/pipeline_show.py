"""`drls pipeline validate | schema | show`: look at definitions, in files and saved ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import Ref, ref_type, short_digest, short_time
from drls_dagster.cli.output import cell, json_option, make_console, print_json, print_table
from drls_dagster.errors import UsageError

if TYPE_CHECKING:
    from rich.tree import Tree

    from lifecycle.spec import AnyNode, PipelineSpec
    from lifecycle.spec.errors import Problem


@click.command()
@click.argument("paths", metavar="FILE|DIR...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--for-saving", is_flag=True, help="Also ask the lifecycle what it would refuse, and for advice.")
@json_option
def validate(paths: tuple[Path, ...], for_saving: bool, as_json: bool) -> None:
    """Check pipeline files and list every problem, one per line.

    Given a folder, checks every pipeline file in it and its subfolders, and whether two files claim the same name or
    table. YAML and JSON without a format_version is skipped; a file that cannot be read is a problem.
    Exits with 2 if a file has a problem.
    """
    from lifecycle.spec import SpecError, digest, load_pipeline

    files, twins, skipped = _files(paths)
    if for_saving:
        _validate_for_saving(files, as_json)
        return
    if not as_json:
        print_skipped(skipped)
    results: list[dict[str, Any]] = []
    lines: list[str] = []
    for file in files:
        try:
            spec = load_pipeline(file)
            if file in twins:
                raise SpecError([twins[file]], str(file))
        except SpecError as error:
            lines += str(error).splitlines()
            problems = [asdict(problem) for problem in error.problems]
            results.append({"file": file, "valid": False, "name": None, "digest": None, "problems": problems})
        else:
            result = {"file": file, "valid": True, "name": spec.name, "digest": digest(spec), "problems": []}
            results.append(result)
            warn_of_sources(spec, file)
            if not as_json:
                click.echo(f"{file}: valid, {spec.name}, {len(spec.nodes)} nodes, {result['digest']}")
    if as_json:
        print_json(results)
    if lines:
        raise UsageError("\n".join(lines))


def _validate_for_saving(files: Sequence[Path], as_json: bool) -> None:
    from lifecycle.spec import load_pipeline
    from lifecycle.usecases.check_definition import Checked

    found: list[tuple[Path, Checked]] = []
    with lifecycle() as client:
        for file in files:
            checked = client.pipelines.check(load_pipeline(file), search_path=[file.parent.resolve()])
            found.append((file, checked))
    if as_json:
        print_json([{"file": file, **checked.model_dump(mode="json")} for file, checked in found])
    lines: list[str] = []
    for file, checked in found:
        lines += [f"{file}: {flaw}" for flaw in checked.problems]
        if not as_json:
            for hint in checked.hints:
                click.echo(f"{file}: advice: {hint}")
            if checked.valid:
                saved = f", saved as v{checked.version}" if checked.version else ""
                click.echo(f"{file}: can be saved, {checked.name}, {checked.digest}{saved}")
    if lines:
        raise UsageError("\n".join(lines))


def warn_of_sources(spec: PipelineSpec, file: Path) -> None:
    """Name on stderr the file sources that a run with the settings of this machine would refuse."""
    from drls_dagster.settings import load_settings
    from drls_dagster.steps.sources.files.roots import outside

    settings = load_settings()
    for text in () if settings.url else outside(spec, settings):  # runs of a server have the server's settings
        click.echo(f"{file}: warning: runs here will fail: {text}", err=True)


def print_skipped(files: Sequence[Path]) -> None:
    """Which files of a folder are taken for something else than a pipeline."""
    for file in files:
        click.echo(f"{file}: skipped: it has no format_version, so it is not a pipeline file")


def _files(paths: Sequence[Path]) -> tuple[list[Path], Mapping[Path, Problem], list[Path]]:
    """The files that `paths` name, what is wrong with those of one folder together, and what is skipped in folders."""
    from drls_dagster.pipeline_files import read_file, refuse_twins, sort_files
    from lifecycle.spec.errors import Problem

    files: list[Path] = []
    twins: dict[Path, Problem] = {}
    skipped: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        found, others = sort_files(path)
        if not found:
            raise UsageError(f"{path} has no pipeline files: none of its YAML and JSON files has a format_version")
        files += found
        skipped += others
        read = [one for one in map(read_file, found) if one.spec is not None]
        for one in refuse_twins(read):
            if one.problem is not None:
                twins[one.path] = Problem(None, None, one.problem)
    return files, twins, skipped


@click.command()
def schema() -> None:
    """Print the JSON Schema of pipeline files, for editors."""
    from lifecycle.spec import json_schema

    print_json(json_schema())


@click.command()
@click.argument("what", metavar="FILE|NAME[@VERSION]")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the definition as a pipeline file.")
@json_option
def show(what: str, as_yaml: bool, as_json: bool) -> None:
    """Show nodes, data flow, sinks, checks and the digest.

    For a saved pipeline, also lists its versions. Without @VERSION, shows the newest.
    """
    from lifecycle.spec.writing import dump_yaml

    spec, saved = _find(what)
    if as_yaml:
        # Saving resolves the lock anew; one that was edited along would only be in the way.
        click.echo(dump_yaml(spec.model_copy(update={"lock": None})), nl=False)
        return
    description = _describe(spec) | saved
    if as_json:
        print_json(description)
        return
    console = make_console()
    for key in ("name", "version", "stage", "description", "owners", "schedule", "digest"):
        if description.get(key):
            console.print(f"{key:<12} {cell(description[key])}", soft_wrap=True)
    console.print()
    console.print(_tree(spec))
    for title in ("sinks", "checks", "versions"):
        rows = description.get(title)
        if rows:
            console.print(f"\n{title}", style="bold")
            print_table(list(rows[0]), [list(row.values()) for row in rows])


def read_spec(text: str, where: str | None = None) -> PipelineSpec:
    """The definition in a file, or (`where` names it) in a text. Raises SpecError with a line per problem."""
    from lifecycle.spec import SpecError, load_pipeline, parse_pipeline

    if where is None:
        return load_pipeline(Path(text))
    try:
        return parse_pipeline(text)
    except SpecError as error:
        raise SpecError(error.problems, where) from None


def is_file(what: str) -> bool:
    """Whether this names a pipeline file rather than a saved pipeline."""
    return Path(what).suffix in {".yaml", ".yml", ".json"} or "/" in what or Path(what).is_file()


def _find(what: str) -> tuple[PipelineSpec, dict[str, Any]]:
    """The definition, and what is known of a saved one besides."""
    if is_file(what):
        return read_spec(what), {}
    ref: Ref = ref_type.convert(what, None, click.get_current_context())
    with lifecycle() as client:
        version = client.pipelines.version(ref.name, ref.number)
        versions = client.pipelines.versions(ref.name) if ref.number is None else ()
    known = {
        "version": version.number,
        "stage": version.stage.value,
        "active_in": list(version.active_in),
        "versions": [
            {
                "version": one.number,
                "stage": one.stage.value,
                "author": one.author,
                "created_at": short_time(one.created_at),
                "message": one.message,
                "digest": short_digest(one.digest),
            }
            for one in versions
        ],
    }
    return read_spec(version.spec, f"{ref.name}@{version.number}"), known


def _describe(spec: PipelineSpec) -> dict[str, Any]:
    from lifecycle.spec import digest

    return {
        "name": spec.name,
        "description": spec.description,
        "owners": spec.owners,
        "schedule": (spec.schedule and f"{spec.schedule.cron} {spec.schedule.timezone}") or spec.automation,
        "digest": digest(spec),
        "nodes": [{"id": node.id, "type": node.type, "kind": _kind(node)} for node in spec.nodes],
        "edges": [{"from": edge.from_, "to": edge.to} for edge in spec.edges],
        "sinks": [{"node": sink.id, "table": sink.table, "mode": sink.mode} for sink in spec.sinks],
        "checks": [
            {"on": " ".join(spec.upstream(monitor.id)), "check": check.name, "severity": check.severity}
            for monitor in spec.monitors
            for check in monitor.checks
        ],
    }


def _kind(node: AnyNode) -> str | None:
    match node.type:
        case "source":
            return node.source.kind
        case "transform":
            return node.step
        case "sink":
            return node.mode
    return None


def _tree(spec: PipelineSpec) -> Tree:
    """The nodes below what they read; a node that was shown already is named without what follows it."""
    from rich.tree import Tree

    top = Tree(spec.name)
    shown: set[str] = set()
    pending = [(top, node_id) for node_id in reversed(spec.topological()) if not spec.upstream(node_id)]
    while pending:
        parent, node_id = pending.pop()
        node = spec.node(node_id)
        branch = parent.add(" ".join(part for part in (node_id, node.type, _kind(node)) if part))
        if node_id not in shown:
            shown.add(node_id)
            pending += [(branch, below) for below in reversed(spec.downstream(node_id))]
    return top
