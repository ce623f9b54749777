"""Hive folders: `day=2024-01-01/` gives every file below it the column `day`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from urllib.parse import unquote

from drls_dagster.steps.sources.pins import SourceUnreadable

NULL = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_NO_NUMBER = re.compile(r"NaN|[+-]?Infinity")
_DECIMAL = re.compile(r"decimal\(([0-9]+),\s*([0-9]+)\)")
_ZONED = re.compile(r"Z|[+-][0-9]{2}:[0-9]{2}")
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
        if kinds[name] != "string":
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
        if "\ufffd" in f"{name}{value}" and "\ufffd" not in folder:
            raise SourceUnreadable(
                f"node '{node}': the folder '{folder}' of {file} escapes bytes that are not UTF-8; rename it, or set "
                "`basePath` in the options"
            )
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
    for kind, fits in _FOUND.items():
        if known and all(fits(text) for text in known):
            return kind
    return "string"


def _refuse_misfit(node: str, file: str, name: str, text: str | None, kind: str) -> None:
    if text is not None and not _is_of(kind, text):
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


_FOUND = {"date": _is_date, "timestamp_ntz": _is_timestamp, "long": _is_whole}


def _is_of(kind: str, text: str) -> bool:
    """Whether a text is wholly a value of a declared type; Spark takes `10:30` for today's and `5d` for 5.0."""
    if kind in {"int", "long"}:
        most = 2**31 if kind == "int" else 2**63
        return _INTEGER.fullmatch(text) is not None and -most <= int(text) < most
    if kind in {"float", "double"}:
        return _NUMBER.fullmatch(text) is not None or _NO_NUMBER.fullmatch(text) is not None
    if kind == "timestamp":
        day_or_moment = _ZONED.sub("", text) if len(text) > 10 else text
        return _is_date(day_or_moment) or _is_timestamp(day_or_moment)
    if kind == "timestamp_ntz":
        return _is_date(text) or _is_timestamp(text)
    if kind == "boolean":
        return text.lower() in {"true", "false"}
    size = _DECIMAL.fullmatch(kind)
    if size:
        return _NUMBER.fullmatch(text) is not None and _fits(Decimal(text), int(size[1]), int(size[2]))
    return kind == "date" and _is_date(text)


def _fits(number: Decimal, digits: int, scale: int) -> bool:
    """Whether a decimal type holds a number with all its digits."""
    return abs(number) < Decimal(10) ** (digits - scale) and number.as_tuple().exponent >= -scale  # pyright: ignore[reportOperatorIssue]


def _quoted(text: str) -> str:
    # Spark takes an escape for a character, not for a byte: what is beyond ASCII stays as it is.
    return "".join(one if _PLAIN.fullmatch(one) or one > "\x7f" else f"%{ord(one):02X}" for one in text)
