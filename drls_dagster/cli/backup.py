"""`drls backup` and `drls restore`: an installation in one folder, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import checked_keys
from drls_dagster.cli.options import public_key_option
from drls_dagster.cli.output import in_words, json_option, print_json
from drls_dagster.errors import DrlsError
from drls_dagster.settings import load_settings

if TYPE_CHECKING:
    from drls_dagster.backups.restoring import Restored
    from lifecycle.usecases.reconcile import Reconciled

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@json_option
def backup(folder: Path, as_json: bool) -> None:
    """Back up this installation to the new folder DIR without interrupting anyone.

    It has the store, the ledger of runs, the chats, the signing key and the token, drls.toml, and a catalog on SQLite.
    Anyone who reads it can act as you: keep it as you keep the key. It does not have the tables' files (the warehouse),
    other catalogs, Dagster's own history, or secrets that settings name: back these up where they are.
    """
    from drls_dagster.backups.making import make_backup

    made = make_backup(load_settings(), folder)
    size = sum(one.bytes for one in made.files.values())
    if as_json:
        print_json({"folder": folder, "bytes": size, **made.model_dump(mode="json")})
        return
    what = f"{len(made.files)} files, {in_words(size)}, up to entry {made.audit.sequence} of the audit log"
    click.echo(f"Backed up to {folder}: {what}.")
    if made.catalog not in {"sqlite", "none"}:
        click.echo(f"The catalog ({made.catalog}) is not in it: back it up where it is.")


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@public_key_option
@json_option
def restore(folder: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """Restore the backup in DIR to DRLS_HOME, which has no store yet.

    Everything is checked first: the files, the audit log and every row. A PostgreSQL backup goes to the empty database
    that DRLS_LIFECYCLE__URL or the backup's settings name. Then it looks where the catalog is newer than the backup,
    and lists that as drift. It changes no table. Repeat it if it was interrupted.
    """
    from drls_dagster.backups.restoring import restore as restored
    from drls_dagster.home import home_folder

    done = restored(folder, home_folder(), checked_keys(keys))
    found = _drift(done)
    if as_json:
        print_json(_told(done, found))
        return
    at = f"{done.manifest.made_at:%Y-%m-%d %H:%M} UTC"
    click.echo(f"Restored to {done.settings.home} as of {at}.")
    click.echo(f"The audit log is whole: {done.verdict.entries} entries, and {done.verdict.rows} rows match them.")
    if done.kept_catalog is not None:
        click.echo(f"The catalog at {done.kept_catalog} was there and stays.")
    if isinstance(found, str):
        click.echo(f"The tables were not compared: {found}")
    else:
        for one in found.drifts:
            at = "gone" if one.found is None else f"at snapshot {one.found}, which the backup does not know"
            click.echo(f"Drift in {one.environment.label}: {one.table_name} is {at}.")
        for trouble in found.troubles:
            click.echo(f"{trouble.item}: {trouble.error}")
        differ = f"Drift: {len(found.drifts)}. Adopt or revert each: drls drift list."
        click.echo(differ if found.drifts else "No table has drifted from what the backup knows.")
    click.echo("Accounts, tokens and grants are as they were then: revoke again what was revoked later.")


def _drift(done: Restored) -> Reconciled | str:
    """What the catalog has that the backup does not know; where it cannot be asked, why."""
    from drls_dagster.lifecycle_client.gateway import gateway_actor, open_lifecycle
    from lifecycle.usecases.reconcile import find_drift

    try:
        return find_drift(open_lifecycle(done.settings), gateway_actor("restore"))
    except DrlsError as error:
        return error.message


def _told(done: Restored, found: Reconciled | str) -> dict[str, object]:
    told: dict[str, object] = {
        "home": done.settings.home,
        "made_at": done.manifest.made_at,
        "entries": done.verdict.entries,
        "rows": done.verdict.rows,
        "kept_catalog": done.kept_catalog,
    }
    if isinstance(found, str):
        return {**told, "not_compared": found}
    drifts = [{"table": one.table_name, "environment": one.environment, "snapshot": one.found} for one in found.drifts]
    return {**told, "drifts": drifts, "troubles": [one.model_dump(mode="json") for one in found.troubles]}
