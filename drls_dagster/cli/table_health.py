"""`drls table health`: of a table, a namespace, or all tables; and how a score went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drls_dagster.cli.options import environment_type
from drls_dagster.cli.output import in_words, json_option, print_json, print_table
from lifecycle.domain.environment import Environment
from lifecycle.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drls_dagster.lifecycle_client.calls import Lifecycle
    from lifecycle.domain.table_health import HealthLook, HealthReport, TableHealth


@click.command()
@click.argument("name", metavar="[TABLE|NAMESPACE]", required=False)
@click.option("--all", "everything", is_flag=True, help="Show all tables, worst first.")
@click.option(
    "--env",
    "environment",
    type=environment_type,
    help="Treat TABLE as the name a pipeline uses in this environment; otherwise, show only its tables.",
)
@click.option(
    "--below", type=click.IntRange(0, 101), default=101, help="With --all or a NAMESPACE: only scores below this."
)
@click.option("--orphans", is_flag=True, help="Also count files of TABLE that nothing needs; lists its folder.")
@click.option("--history", is_flag=True, help="Show how the score of TABLE changed, newest first.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Most lines of the history.")
@json_option
def health(
    name: str | None,
    everything: bool,
    environment: Environment | None,
    below: int,
    orphans: bool,
    history: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Score tables from 0 to 100, and say what to do about them.

    \b
    drls table health flights.daily
    drls table health --all --below 70
    """
    from drls_dagster.cli.lifecycle import lifecycle

    if everything == bool(name):
        raise click.UsageError("Name a table or a namespace, or give --all.")
    if history and (name is None or environment is not None):
        raise click.UsageError("--history needs a TABLE, without --env.")
    if orphans and name is None:
        raise click.UsageError("--orphans needs a TABLE.")
    with lifecycle() as client:
        if history and name is not None:
            _print_history(name, client.tables.health_history(name, limit=limit), as_json)
            return
        if name is not None:
            try:
                _print_report(client.tables.health(name, environment=environment, orphans=orphans), as_json)
            except NotFound:
                if not _print_fleet(client, name, environment, below, as_json):
                    raise
            return
        if not _print_fleet(client, "", environment, below, as_json) and not as_json:
            click.echo("No tables.")


def _print_report(found: HealthReport, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    click.echo(f"{found.name}: {found.score} of 100")
    facts = [
        ("data files", f"{found.data_file_count:,}"),
        ("small files", f"{found.small_file_count:,} (target {in_words(found.target_bytes)})"),
        ("delete files", f"{found.delete_file_count:,}"),
        ("manifests", f"{found.manifest_count:,} ({in_words(found.manifest_bytes)})"),
        ("size", in_words(found.bytes)),
        ("snapshots", f"{found.snapshot_count:,}"),
        ("metadata file", in_words(found.metadata_bytes)),
    ]
    if found.cost is not None:
        cost = found.cost
        overhead = f"{cost.scan_overhead:,.0f} % slower, {cost.extra_files:,} files too many"
        facts.append(("full scan", overhead if cost.scan_overhead else "nothing to save"))
        money = f"{cost.storage_price:,.2f} {cost.currency} a month"
        history = f", of which old snapshots {cost.history_price:,.2f} ({in_words(cost.history_bytes)})"
        facts.append(("storage", money + (history if cost.history_bytes else "")))
    print_table(["", ""], facts)
    if found.reasons:
        print_table(
            ["points", "reason", "number", "threshold", "fix"],
            [
                (f"-{one.points}", one.text, f"{one.number:,.10g}", f"{one.threshold:,.10g}", one.command or None)
                for one in found.reasons
            ],
            right=["points", "number", "threshold"],
        )
    click.echo(found.recommendation)


def _print_fleet(client: Lifecycle, namespace: str, environment: Environment | None, below: int, as_json: bool) -> bool:
    """Whether there was anything to print."""
    found: Sequence[TableHealth] = client.tables.fleet(namespace=namespace, environment=environment, below=below)
    if not found and namespace and not client.tables.list(namespace=namespace):
        return False
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
    elif found:
        print_table(
            ["score", "table", "files", "small", "snapshots", "size", "what to do"],
            [
                (
                    "?" if one.score is None else str(one.score),
                    one.name,
                    *((None,) * 4 if one.error else _figures(one)),
                    one.error or one.recommendation,
                )
                for one in found
            ],
            right=["score", "files", "small", "snapshots", "size"],
        )
    else:
        click.echo(f"No table with a score below {below}.")
    return True


def _figures(one: TableHealth) -> tuple[str, str, str, str]:
    return (
        f"{one.data_file_count:,}",
        f"{one.small_file_count:,}",
        f"{one.snapshot_count:,}",
        in_words(one.bytes),
    )


def _print_history(name: str, found: Sequence[HealthLook], as_json: bool) -> None:
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
    elif not found:
        click.echo(f"Nobody has looked at {name} yet; run: drls table health {name}")
    else:
        print_table(
            ["at (UTC)", "score", "files", "small", "deletes", "snapshots", "size", "cost points"],
            [
                (
                    f"{one.at:%Y-%m-%d %H:%M:%S}",
                    str(one.score),
                    f"{one.data_file_count:,}",
                    f"{one.small_file_count:,}",
                    f"{one.delete_file_count:,}",
                    f"{one.snapshot_count:,}",
                    in_words(one.bytes),
                    ", ".join(f"{kind.value} {points}" for kind, points in one.points.items()) or None,
                )
                for one in found
            ],
            right=["score", "files", "small", "deletes", "snapshots", "size"],
        )
