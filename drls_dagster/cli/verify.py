"""`drls verify`: checks an exported version without a store."""

from __future__ import annotations

from pathlib import Path

import click

from drls_dagster.cli.lifecycle import lifecycle_errors, own_public_key
from drls_dagster.cli.output import json_option, print_json
from drls_dagster.errors import DrlsError, UsageError


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key", "keys", multiple=True, metavar="KEY", help="A public key to trust, in hexadecimal; may be repeated."
)
@json_option
def verify(file: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """Check a FILE that `drls pipeline export` wrote: signature, digests, approvals, audit entries.

    Trusted are the keys given and this installation's own. Ends with 1 when anything is wrong.
    """
    from lifecycle.bundle import verify_bundle

    trusted = [*keys, *own_public_key()]
    if not trusted:
        raise UsageError("whose key signed this file? Name it with --key")
    with lifecycle_errors():
        try:
            bundle, problems = verify_bundle(file.read_bytes(), trusted)
        except ValueError:
            raise UsageError("a public key is 64 hexadecimal digits, as `drls audit anchor` prints them") from None
    found = {
        "pipeline": bundle.pipeline,
        "version": bundle.version.number,
        "digest": bundle.version.digest,
        "signed_by": bundle.head.key_id,
        "requests": len(bundle.approvals),
        "receipts": len(bundle.receipts),
        "problems": problems,
    }
    if as_json:
        print_json(found)
    if problems:
        raise DrlsError("\n".join(problems))
    if not as_json:
        click.echo(
            f"{bundle.pipeline} v{bundle.version.number} is as it was signed: {bundle.version.digest}, "
            f"{len(bundle.approvals)} requests, {len(bundle.receipts)} receipts."
        )
