"""`drls audit`: read, check, export and anchor the audit log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drls_dagster.cli.lifecycle import checked_keys, lifecycle, own_public_key
from drls_dagster.cli.options import number_type, print_model, print_models, public_key_option, short_time
from drls_dagster.cli.output import cell, json_option, print_table
from drls_dagster.errors import DrlsError, UsageError

if TYPE_CHECKING:
    from lifecycle.audit import Entry, Head, Verdict


@click.group()
def audit() -> None:
    """Read the audit log, and prove that nobody tampered with it."""


@audit.command()
@click.option("--subject", help="Only entries about this, for example pipeline:flights or promotion:3.")
@click.option("--verb", help="Only entries with this action, for example promotion.approved.")
@click.option("--before", type=number_type, metavar="ENTRY", help="Only entries older than this, for paging.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Maximum number of entries."
)
@json_option
def log(subject: str | None, verb: str | None, before: int | None, limit: int, as_json: bool) -> None:
    """Print entries, newest first."""
    with lifecycle() as client:
        found = client.audit.search(subject=subject, verb=verb, before=before, limit=limit)
    if as_json:
        print_models(found)
        return
    print_table(
        ["entry", "at", "who", "through", "what", "subject", "details"],
        [
            (
                one.sequence,
                short_time(one.at),
                _who(one.actor),
                one.actor.get("way_in"),
                one.verb,
                one.subject,
                ", ".join(f"{name}={cell(value)}" for name, value in one.body.items() if value is not None),
            )
            for one in found
        ],
        right=["entry"],
    )


def _who(actor: Mapping[str, Any]) -> str:
    """The account, and for whom it acted."""
    name, person = actor.get("name", ""), actor.get("acts_for")
    return f"{name} for {person}" if person else name


@audit.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file written by `audit anchor`. Repeatable.",
)
@public_key_option
@json_option
def verify(file: Path | None, anchors: tuple[Path, ...], keys: tuple[str, ...], as_json: bool) -> None:
    """Check the audit log and the store's rows. Given FILE, check a log that `audit export` wrote; no store needed.

    Finds edits, deletions, reordering and forks, and rows that were changed outside DRLS. Only an anchor kept elsewhere
    can show that the log was cut off, or rewritten by someone with the key. Exits with 1 if anything is wrong.
    """
    from lifecycle.audit import verify as check
    from lifecycle.store.rows import with_rows

    kept = [anchor for path in anchors for anchor in _read_anchors(path)]
    trusted = checked_keys([*keys, *(key for _, key in kept), *own_public_key()])
    heads = [head for head, _ in kept]
    if file is None:
        with lifecycle() as client, client.audit.whole() as whole:
            verdict = check(whole.entries, whole.head, _by_id(trusted), heads)
            verdict = with_rows(verdict, client.audit.rows())
    else:
        if not trusted:
            raise UsageError(
                "no trusted key to check the log with; pass the signer's public key with --key, or an anchor "
                "with --anchor"
            )
        # Bytes that are not text become text that is not JSON, and are reported like it.
        with file.open(encoding="utf-8", errors="replace") as lines:
            head = _read_head(file, lines)
            verdict = check(_read_entries(file, lines), head, _by_id(trusted), heads)
    _report(verdict, as_json)


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(file: Path) -> None:
    """Export the whole log to FILE. The signed head comes first, then one entry per line."""
    from lifecycle.audit import export_lines

    with lifecycle() as client, client.audit.whole() as whole, _new(file).open("x") as out:
        lines = 0
        for line in export_lines(whole.head, whole.entries):
            out.write(line)
            lines += 1
    click.echo(f"Exported {lines - 1} entries to {file}.")


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def anchor(file: Path, as_json: bool) -> None:
    """Append the signed head to FILE. Keep that file where the store's owner cannot write."""
    from lifecycle.audit import anchor_line

    with lifecycle() as client:
        key = client.audit.public_key()
        with client.audit.whole() as whole:
            head = whole.head
    with file.open("a") as out:
        out.write(anchor_line(head, key) + "\n")
    if as_json:
        print_model(head)
        return
    click.echo(f"Anchored entry {head.sequence} in {file}; the public key is {key}.")


def _new(file: Path) -> Path:
    if file.exists():
        raise DrlsError(f"{file} already exists; name another file")
    return file


def _by_id(keys: Iterable[str]) -> dict[str, str]:
    from lifecycle.audit.keys import public_key

    return {public_key(key).keyid: key for key in keys}


def _read_anchors(file: Path) -> list[tuple[Head, str]]:
    from lifecycle.audit import Head

    text = file.read_text(encoding="utf-8", errors="replace")
    lines = [(file, number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    found = [_json(*line) for line in lines]
    try:
        return [(Head.model_validate(one["head"]), str(one["key"])) for one in found]
    except (KeyError, ValueError):
        raise UsageError(f"{file} contains no anchors; write them with `drls audit anchor`") from None


def _read_head(file: Path, lines: Iterator[str]) -> Head:
    from lifecycle.audit import Head
    from lifecycle.audit.export import KIND

    try:
        first = json.loads(next(lines, ""))
        if first["kind"] == KIND:
            return Head.model_validate(first["head"])
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise UsageError(f"{file} is not an audit log export; write one with `drls audit export`")


def _read_entries(file: Path, lines: Iterator[str]) -> Iterator[Entry]:
    from pydantic import ValidationError

    from lifecycle.audit import Entry

    for number, line in enumerate(lines, start=2):
        try:
            yield Entry.model_validate_json(line)
        except ValidationError:
            raise DrlsError(f"{file}, line {number}: not a valid entry: the file was changed or cut off") from None


def _json(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        raise UsageError(f"{file}, line {number}: not valid JSON") from None
    return found if isinstance(found, dict) else {}


def _report(verdict: Verdict, as_json: bool) -> None:
    if as_json:
        print_model(verdict)
    if not verdict.whole:
        raise DrlsError("\n".join(_lines(verdict)))
    if not as_json:
        rows = f" The store's {verdict.rows} rows match it." if verdict.rows else ""
        click.echo(f"The log is intact: {verdict.entries} entries.{rows}")


def _lines(verdict: Verdict) -> Sequence[str]:
    return [finding.message for finding in verdict.findings]
