"""Hive folders: `day=2024-01-01/` gives every file below it the column `day`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import unquote

from drls_dagster.steps.sources.pins import SourceUnreadable

NULL = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?")
# What a folder's name may hold as it is, for Hadoop's paths and Spark's reading of values.
_PLAIN = re.compile(r"[A-Za-z0-9_.,;@~+()' -]")


@dataclass(frozen=True)
class Folders:
    """The columns that the folders of a source give, with their types, and the values of each file."""

    kinds: Mapping[str, str]
    values: Mapping[str, Mapping[str, str | None]]

    def path_of(self, file: str) -> str:
        """The file's folders as Spark reads them, relative."""
        return "/".join(
            f"{_quoted(name)}={NULL if value is None else _quoted(value)}" for name, value in self.values[file].items()
        )


def folder_column(name: str) -> tuple[str, str] | None:
    """The column and the text of a folder's name, None where it is not of that form."""
    column, mark, value = name.partition("=")
    return (unquote(column), unquote(value)) if mark and column.strip() else None


def folders_of(node: str, files: Sequence[str], base: str, declared: Mapping[str, str]) -> Folders:
    """The columns that the folders below `base` give. Raises SourceUnreadable where the files differ in them."""
    values = {file: _values(node, file, base) for file in files}
    first = files[0]
    names = list(values[first])
    for file in files:
        if [name.lower() for name in values[file]] != [name.lower() for name in names]:
            has = ", ".join(values[file]) or "none"
            raise SourceUnreadable(
                f"node '{node}': the folders of {file} give the columns {has}, those of {first} "
                f"{', '.join(names) or 'none'}; narrow the path, or set `basePath` in the options: folders "
                "above it give no columns"
            )
    same = {file: dict(zip(names, found.values(), strict=True)) for file, found in values.items()}
    wanted = {name.lower(): kind for name, kind in declared.items()}
    kinds: dict[str, str] = {}
    for name in names:
        texts = [found[name] for found in same.values()]
        kinds[name] = wanted.get(name.lower()) or _kind(text for text in texts if text is not None)
        if kinds[name] in _CHECKS:
            for file, found in same.items():
                _refuse_misfit(node, file, name, found[name], kinds[name])
    return Folders(kinds, same)


def _values(node: str, file: str, base: str) -> dict[str, str | None]:
    below = file.removeprefix(base) if base and file.startswith(base.rstrip("/") + "/") else file
    found: dict[str, str | None] = {}
    for folder in below.split("/")[:-1]:
        column = folder_column(folder)
        if column is None:
            continue
        name, value = column
        if not value or name.lower() in {known.lower() for known in found}:
            what = "has no value" if not value else f"gives the column '{name}' twice"
            raise SourceUnreadable(
                f"node '{node}': the folder '{folder}' of {file} {what}; rename it, or set `basePath` in the options"
            )
        found[name] = None if value == NULL else value
    return found


def _kind(texts: object) -> str:
    """As DuckDB finds them: whole numbers (not `01`), dates, timestamps; text if any value is something else."""
    known = list(texts)  # pyright: ignore[reportArgumentType]
    for kind, fits in _CHECKS.items():
        if known and kind != "int" and all(fits(text) for text in known):
            return kind
    return "string"


def _refuse_misfit(node: str, file: str, name: str, text: str | None, kind: str) -> None:
    if text is not None and not _CHECKS[kind](text):
        raise SourceUnreadable(
            f"node '{node}': the folder {name}={text} of {file} is not a valid {kind}; give the column '{name}' "
            "another type in the schema"
        )


def _is_whole(text: str) -> bool:
    return _WHOLE.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None and _reads(date, text)


def _is_timestamp(text: str) -> bool:
    return _TIMESTAMP.fullmatch(text) is not None and _reads(datetime, text)


def _reads(kind: type[date], text: str) -> bool:
    try:
        kind.fromisoformat(text)
    except ValueError:
        return False
    return True


_CHECKS = {
    "date": _is_date,
    "timestamp_ntz": _is_timestamp,
    "long": _is_whole,
    "int": lambda text: re.fullmatch(r"[+-]?[0-9]{1,10}", text) is not None and abs(int(text)) < 2**31,
}


def _quoted(text: str) -> str:
    # Spark takes an escape for a character, not for a byte: what is beyond ASCII stays as it is.
    return "".join(one if _PLAIN.fullmatch(one) or one > "\x7f" else f"%{ord(one):02X}" for one in text)
