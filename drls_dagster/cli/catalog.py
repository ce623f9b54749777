"""`drls search | lineage | history` and `drls pipeline about`: what there is, where data goes, and what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import Ref, environment_type, print_model, print_models, ref_type, short_time
from drls_dagster.cli.output import json_option, print_table

if TYPE_CHECKING:
    from lifecycle.domain.environment import Environment
    from lifecycle.usecases.about_pipeline import About

limit_option = click.option("--limit", type=click.IntRange(1, 10_000), default=100, help="Most rows to list.")


@click.command()
@click.argument("text", default="")
@click.option("--kind", type=click.Choice(["pipeline", "table", "asset"]), help="Only these.")
@click.option("--owner", default="", help="Only pipelines of this owner, and what belongs to them.")
@click.option(
    "--tag", default="", metavar="KEY[=VALUE]", help="Only pipelines with this tag, and what belongs to them."
)
@click.option("--column", default="", help="Only tables and assets with a column like this.")
@limit_option
@json_option
def search(text: str, kind: str | None, owner: str, tag: str, column: str, limit: int, as_json: bool) -> None:
    """Find pipelines, tables and assets by name, description, owner, tag or column.

    Reads the newest definitions. A table can have columns that no definition names.
    """
    from lifecycle.usecases.find import Kind

    with lifecycle() as client:
        wanted = Kind(kind) if kind else None
        found = client.catalog.search(text=text, kind=wanted, owner=owner, tag=tag, column=column, limit=limit)
    if as_json:
        print_models(found)
        return
    print_table(
        ["kind", "name", "pipeline", "active", "read by", "columns", "description"],
        [
            (
                one.kind.value,
                one.name,
                one.pipeline,
                ", ".join(f"{where.value} v{number}" for where, number in one.active.items()),
                ", ".join(one.readers),
                ", ".join(one.columns),
                one.description,
            )
            for one in found
        ],
    )


@click.command()
@click.argument("name")
@click.option("--direction", type=click.Choice(["up", "down", "both"]), default="both", help="Which way to look.")
@click.option("--depth", type=click.IntRange(1, 20), default=3, help="Steps to follow.")
@click.option("--column", default="", help="Follow only this column of the table NAME, as far as SQL leads.")
@json_option
def lineage(name: str, direction: str, depth: int, column: str, as_json: bool) -> None:
    """Show what is upstream and downstream of a table or pipeline."""
    from lifecycle.usecases.trace import Direction

    with lifecycle() as client:
        found = client.catalog.lineage(name, direction=Direction(direction), depth=depth, column=column)
    if as_json:
        print_model(found)
        return
    print_table(
        ["steps", "from", "pipeline", "to", "columns"],
        [
            (
                one.steps,
                one.source,
                one.pipeline,
                one.target,
                "; ".join(f"{target} from {', '.join(sources)}" for target, sources in one.columns.items()),
            )
            for one in found.arrows
        ],
    )
    if found.more:
        click.echo("There is more: use a larger --depth, or start from another table.")


@click.command()
@click.argument("pipeline", required=False)
@click.option("--env", "environment", type=environment_type, help="Only what happened in this environment.")
@limit_option
@json_option
def history(pipeline: str | None, environment: Environment | None, limit: int, as_json: bool) -> None:
    """Show what happened, newest first: versions, requests, promotions, rollbacks, freezes and drift."""
    with lifecycle() as client:
        found = client.catalog.history(pipeline=pipeline, environment=environment, limit=limit)
    if as_json:
        print_models(found)
        return
    print_table(
        ["at (UTC)", "who", "pipeline", "what", "reason"],
        [
            (
                short_time(one.at),
                f"{one.by} for {one.acted_for}" if one.acted_for else one.by,
                one.pipeline,
                one.what,
                one.reason,
            )
            for one in found
        ],
    )


@click.command()
@click.argument("version", type=ref_type)
@json_option
def about(version: Ref, as_json: bool) -> None:
    """Show a saved pipeline in short: steps, where it is active, last runs, requests, and what blocks it."""
    with lifecycle() as client:
        found = client.catalog.about(version.name, version.number)
    if as_json:
        print_model(found)
        return
    _print_about(found)


def _print_about(found: About) -> None:
    click.echo(f"{found.name} v{found.version} (newest: v{found.newest}), {found.digest}")
    for key in ("description", "author", "message", "starts", "partitions"):
        if getattr(found, key):
            click.echo(f"{key:<12} {getattr(found, key)}")
    if found.owners:
        click.echo(f"{'owners':<12} {', '.join(found.owners)}")
    print_table(["step", "what", "reads"], [(one.node, one.what, ", ".join(one.reads)) for one in found.steps])
    if found.active:
        print_table(
            ["active in", "version", "since (UTC)"],
            [(one.environment.value, one.version, short_time(one.since)) for one in found.active],
        )
    if found.runs:
        print_table(
            ["run", "environment", "version", "state", "tables", "at (UTC)"],
            [
                (
                    one.run_id,
                    one.environment,
                    one.version,
                    one.state,
                    f"{one.published}/{one.tables}",
                    short_time(one.at),
                )
                for one in found.runs
            ],
        )
    if found.requests:
        print_table(
            ["request", "to", "version", "state"],
            [(one.id, one.target.value, one.version, one.state.value) for one in found.requests],
        )
    for line in found.blocks:
        click.echo(f"blocked: {line}")
