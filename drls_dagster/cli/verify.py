"""`drls verify`: checks an exported version without a store."""

from __future__ import annotations

from pathlib import Path

import click

from drls_dagster.cli.lifecycle import checked_keys, own_public_key
from drls_dagster.cli.options import public_key_option
from drls_dagster.cli.output import json_option, print_json
from drls_dagster.errors import DrlsError, UsageError


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@public_key_option
@json_option
def verify(file: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """Verify a FILE written by `drls pipeline export`: signature, digests, approvals, audit entries.

    Trusts the keys you pass and this installation's own. Exits with 1 if anything is wrong.
    """
    from lifecycle.bundle import verify_bundle

    trusted = [*checked_keys(keys), *own_public_key()]
    if not trusted:
        raise UsageError("no trusted key to check the signature with; pass the signer's public key with --key")
    bundle, problems = verify_bundle(file.read_bytes(), trusted)
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
            f"{bundle.pipeline} v{bundle.version.number} is exactly what was signed: {bundle.version.digest}, "
            f"{len(bundle.approvals)} requests, {len(bundle.receipts)} receipts."
        )
