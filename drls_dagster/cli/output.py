"""What commands print: JSON for programs, tables for people."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import UUID

import click

if TYPE_CHECKING:
    from rich.console import Console

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")

# Where nothing says how wide the reader is: a pipe or a file must not lose columns.
_WIDTH_OF_A_FILE = 240


def print_json(value: Any) -> None:
    """`value` as JSON that every parser takes: no NaN, times in ISO 8601, bytes in hexadecimal."""
    click.echo(json.dumps(to_json(value), indent=2, ensure_ascii=False, allow_nan=False))


def to_json(value: Any) -> Any:
    """`value` in the types that JSON has; what has no better form becomes text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): to_json(item) for key, item in value.items()}
        case bytes():
            return value.hex()
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta() | Decimal() | UUID() | Path():
            return str(value)
        case Iterable():
            return [to_json(item) for item in value]
    return str(value)


def duplicate_stdout() -> IO[str] | None:
    """Where stdout leads now, whatever its descriptor becomes; None where it has none. Who asked closes it."""
    try:
        return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
    except (OSError, AttributeError, ValueError):  # a stream in memory
        return None


def make_console(file: IO[str] | None = None) -> Console:
    """A console that prints data as it is: no markup, no emoji, no guessed highlighting; to stdout, or to `file`."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDTH_OF_A_FILE
    return Console(file=file, markup=False, highlight=False, emoji=False, width=width, soft_wrap=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """A table for people; the columns named in `right` are aligned for numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(cell(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    make_console().print(table)


def cell(value: object) -> str:
    """`value` as one line of a table. Control characters are shown, not sent to the terminal."""
    plain = to_json(value)
    if plain is None:
        return "–"
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def in_words(size: int | None) -> str:
    """A number of bytes for people: 1.4 MB. None is a dash."""
    if size is None:
        return "–"
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")
