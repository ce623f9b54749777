"""`drls verify`: checks an exported version without a store, and with one the files that it published."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drls_dagster.cli.lifecycle import checked_keys, own_public_key
from drls_dagster.cli.options import public_key_option
from drls_dagster.cli.output import json_option, print_json
from drls_dagster.errors import DrlsError, UsageError

if TYPE_CHECKING:
    from lifecycle.domain.environment import Environment
    from lifecycle.domain.run import Receipt


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@public_key_option
@click.option("--data", is_flag=True, help="Also read the files that its receipts published; needs this home's store.")
@json_option
def verify(file: Path, keys: tuple[str, ...], data: bool, as_json: bool) -> None:
    """Verify a FILE written by `drls pipeline export`: signature, digests, approvals, audit entries.

    Trusts the keys you pass and this installation's own. Exits with 1 if anything is wrong. With --data, reads
    every published file that the tables still need, and compares it with the digest that was sealed.
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
    if data:
        found["files"], altered = _verify_data(bundle.receipts)
        found["problems"] = problems = [*problems, *altered]
    if as_json:
        print_json(found)
    if problems:
        raise DrlsError("\n".join(problems))
    if not as_json:
        click.echo(
            f"{bundle.pipeline} v{bundle.version.number} is exactly what was signed: {bundle.version.digest}, "
            f"{len(bundle.approvals)} requests, {len(bundle.receipts)} receipts."
        )
        if data:
            click.echo(f"Every file that the tables still need is as it was published; {found['files']} are sealed.")


def _verify_data(receipts: Iterable[Receipt]) -> tuple[int, list[str]]:
    """How many files are sealed, and which of those that a head needs are not as they were published."""
    from drls_dagster.lifecycle_client.gateway import open_lifecycle
    from drls_dagster.settings import load_settings
    from lifecycle.domain.seal import Digests

    ctx = open_lifecycle(load_settings())
    roots: dict[tuple[str, Environment], list[str]] = {}
    for receipt in receipts:
        if receipt.details.seal is not None:
            roots.setdefault((receipt.table_name, receipt.environment), []).append(receipt.details.seal.root)
    count, problems = 0, list[str]()
    for (table, environment), wanted in sorted(roots.items()):
        with ctx.store.read() as view:
            lists = view.seals.find(wanted)
        missing = set(wanted) - lists.keys()
        problems += [f"{table}: this home does not have the files of seal {root}" for root in sorted(missing)]
        count += sum(len(one.files) for one in lists.values())
        head = ctx.plane.table(table, environment).head
        if head is not None:
            found = ctx.plane.altered(table, environment, list(lists.values()), Digests.ALL, head=head)
            problems += [one.told for one in found]
    return count, problems
