"""`drls pipeline list | diff | export | import | clone | delete`: versions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import checked_keys, lifecycle
from drls_dagster.cli.options import Ref, key_option, print_model, print_models, ref_type
from drls_dagster.cli.output import cell, json_option, print_json, print_table
from drls_dagster.cli.pipeline_save import print_version
from drls_dagster.cli.pipeline_show import is_file, read_spec

if TYPE_CHECKING:
    from drls_dagster.lifecycle_client import Lifecycle
    from lifecycle.domain.spec_diff import FieldDiff, SpecDiff
    from lifecycle.spec import PipelineSpec

trust_option = click.option(
    "--trust", "trusted", multiple=True, metavar="KEY", help="A public key in hexadecimal. Repeatable."
)


@click.command("list")
@json_option
def list_pipelines(as_json: bool) -> None:
    """List saved pipelines and where their versions are active."""
    from lifecycle.domain.environment import Environment

    with lifecycle() as client:
        found = client.pipelines.list()
    if as_json:
        print_models(found)
        return
    rows = [(one.name, one.newest, *(one.active.get(environment) for environment in Environment)) for one in found]
    print_table(["name", "newest", *(environment.value for environment in Environment)], rows)


@click.command()
@click.argument("before", metavar="FILE|NAME[@VERSION]")
@click.argument("after", metavar="FILE|NAME[@VERSION]")
@json_option
def diff(before: str, after: str, as_json: bool) -> None:
    """Compare two definitions: nodes, edges, fields."""
    from lifecycle.domain.spec_diff import diff_specs

    found = diff_specs(*_both(before, after))
    if as_json:
        print_model(found)
        return
    click.echo("\n".join(_lines(found)) or "No differences.")


@click.command()
@click.argument("version", type=ref_type)
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def export(version: Ref, file: Path | None) -> None:
    """Export a signed version to FILE or standard output. It includes approvals, receipts and audit entries.

    `drls verify` checks it without a store.
    """
    with lifecycle() as client:
        number = version.number or client.pipelines.version(version.name).number
        data = client.pipelines.export(version.name, number)
    if file is None:
        click.echo(data, nl=False)
        return
    # Whole or not at all: half a bundle would only be found when somebody needs it.
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_bytes(data)
    fresh.replace(file)
    click.echo(f"{version.name} v{number} is in {file}.")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@trust_option
@key_option
@json_option
def import_bundle(file: Path, trusted: tuple[str, ...], key: str | None, as_json: bool) -> None:
    """Import the definition in an exported FILE. Its approvals do not count here.

    It must be signed by this installation or by a key passed with --trust.
    """
    with lifecycle() as client:
        saved = client.pipelines.import_bundle(file.read_bytes(), trusted=tuple(checked_keys(trusted)), key=key)
    print_version(saved, as_json)


@click.command()
@click.argument("version", type=ref_type)
@click.option("--to", metavar="NAME", help="Name of the new pipeline. Default: a new version of the same pipeline.")
@key_option
@json_option
def clone(version: Ref, to: str | None, key: str | None, as_json: bool) -> None:
    """Save a copy of a version. It becomes the newest of its pipeline or, with --to, a new pipeline."""
    with lifecycle() as client:
        number = version.number or client.pipelines.version(version.name).number
        saved = client.pipelines.clone(version.name, number, to=to, key=key)
    print_version(saved, as_json)


@click.command()
@click.argument("name")
@click.confirmation_option(prompt="The name stays reserved forever. Delete the pipeline?")
@key_option
@json_option
def delete(name: str, key: str | None, as_json: bool) -> None:
    """Delete a pipeline. Its versions stay in the store and its name stays reserved."""
    with lifecycle() as client:
        client.pipelines.delete(name, key=key)
    if as_json:
        print_json({"name": name, "deleted": True})
        return
    click.echo(f"Deleted {name}.")


def _both(before: str, after: str) -> tuple[PipelineSpec, PipelineSpec]:
    if is_file(before) and is_file(after):
        return _of_file(before), _of_file(after)
    with lifecycle() as client:
        found = _spec(client, before), _spec(client, after)
    if is_file(before) == is_file(after):
        return found
    return _only_files(found[0]), _only_files(found[1])


def _of_file(file: str) -> PipelineSpec:
    """The definition with the local code that is there now; code that is not there is left out."""
    from lifecycle.spec import SpecError, resolve_lock

    spec = read_spec(file)
    try:
        return _only_files(resolve_lock(spec, [Path(file).absolute().parent]))
    except SpecError:
        return spec.model_copy(update={"lock": None})


def _only_files(spec: PipelineSpec) -> PipelineSpec:
    """A file has no lock before it is saved. That is no difference; its code may be one."""
    from lifecycle.spec import Lock

    files = spec.lock.files if spec.lock else {}
    return spec.model_copy(update={"lock": Lock(files=files) if files else None})


def _spec(client: Lifecycle, what: str) -> PipelineSpec:
    if is_file(what):
        return _of_file(what)
    ref: Ref = ref_type.convert(what, None, click.get_current_context())
    return read_spec(client.pipelines.version(ref.name, ref.number).spec, what)


def _lines(found: SpecDiff) -> list[str]:
    lines = [f"- edge {edge}" for edge in found.edges_removed] + [f"+ edge {edge}" for edge in found.edges_added]
    for field in found.pipeline:
        lines += _field_lines(field.field, field)
    for node in found.nodes:
        if node.change == "changed":
            for field in node.fields:
                lines += _field_lines(f"{node.node}.{field.field}", field)
        else:
            lines.append(f"{'+' if node.change == 'added' else '-'} node {node.node}")
    return lines


def _field_lines(where: str, field: FieldDiff) -> list[str]:
    """Text of several lines, as SQL is, line by line."""
    if field.lines:
        return [f"~ {where}", *(f"    {line}" for line in field.lines)]
    return [f"~ {where}: {cell(field.before)} → {cell(field.after)}"]
