"""Where in a file the record is that Spark could not read: its line, so that a message need not quote what is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

from drls_dagster.steps.sources.files.csv_header import Dialect, values_of
from drls_dagster.steps.sources.files.heads import packing, unpacked

_PIECE = 4 * 2**20
_MOST = 64 * 2**20
_MOMENT = re.compile(
    r"([+-]?\d{4,7}-\d{1,2}-\d{1,2})(?:[T ]+(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:\.\d*)?)?)?\s*\S*(?:\s\S+)?)?"
)
_DAY = re.compile(r"[+-]?(\d{4,7})-(\d{1,2})-(\d{1,2})(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?")


def csv_record(path: str, record: str, encoding: str) -> str:
    """`line 7`, empty where the record is not found."""
    first = (record.splitlines() or [""])[0].strip()
    return next((_line(number) for number, line in _lines(path, encoding) if first and line.strip() == first), "")


def csv_value(path: str, value: str, encoding: str, options: Mapping[str, str], schema: Mapping[str, str]) -> str:
    """`line 7, column 'id'`: the first of a column that is not text which has this value; empty where none is found."""
    dialect, names = Dialect.of(options), list(schema)
    header = options.get("header", "false").lower() == "true"
    kinds = {name.lower(): kind for name, kind in schema.items()}
    for number, line in _lines(path, encoding):
        if not line.strip():
            continue
        if header:
            names, header = values_of(line.lstrip("\ufeff"), dialect)[0], False
        elif value in line:
            for name, found in zip(names, values_of(line, dialect)[0], strict=False):
                if found.strip() == value and kinds.get(name.lower(), "string") != "string":
                    return f"{_line(number)}, column '{name}'"
    return ""


def csv_misfit(
    path: str,
    column: str,
    encoding: str,
    options: Mapping[str, str],
    schema: Mapping[str, str],
    fits: Callable[[str], bool],
) -> str:
    """`line 7`: the first that has something else in a column; empty where none is found."""
    dialect, names = Dialect.of(options), [name.lower() for name in schema]
    header = options.get("header", "false").lower() == "true"
    for number, line in _lines(path, encoding):
        if not line.strip():
            continue
        values, _ = values_of(line.lstrip("\ufeff"), dialect)
        if header:
            names, header = [name.lower() for name in values], False
        elif column.lower() in names[: len(values)]:
            text = values[names.index(column.lower())].strip()
            if text and not fits(text):
                return _line(number)
    return ""


def json_misfit(path: str, column: str, fits: Callable[[str], bool]) -> str:
    """`line 7`: the first record that has something else in a field; empty where none is found."""
    for number, line in _lines(path, "utf-8"):
        record = _parsed(line)
        value = record.get(column) if isinstance(record, dict) else None
        if isinstance(value, str | int | float) and not fits(str(value)):
            return _line(number)
    return ""


def decimal_of(kind: str) -> Callable[[str], bool]:
    """Whether a text is a decimal of that type."""
    precision, scale = (int(one) for one in re.findall(r"\d+", kind) or (38, 0))

    def fits(text: str) -> bool:
        try:
            return abs(Decimal(text.replace("_", "x"))) < 10 ** (precision - scale)
        except InvalidOperation:
            return False

    return fits


def is_date(text: str) -> bool:
    """Whether a text is a date, as the reader takes it."""
    found = _DAY.fullmatch(text)
    if found is None:
        return False
    year, month, day = (int(part) for part in found.groups())
    leap = 2000 if year % 400 == 0 else 2004 if year % 4 == 0 and year % 100 else 2001
    try:
        return date(leap, month, day) is not None  # any year, also those that Python does not know
    except ValueError:
        return False


def is_timestamp(text: str) -> bool:
    """Whether a text begins with a date, and continues with a time of day where it continues."""
    found = _MOMENT.fullmatch(text)
    return (
        found is not None
        and is_date(found[1])
        and all(int(one or 0) < most for one, most in zip(found.groups()[1:], (24, 60, 60), strict=True))
    )


def is_wall_clock(text: str) -> bool:
    """Whether a text is a timestamp without a zone."""
    return is_timestamp(text) and re.search("[+-]|[A-SU-Za-z]", text[10:]) is None


def is_number(text: str) -> bool:
    """Whether a text is a floating-point number, without what only Java takes for one."""
    try:
        return float(text.replace("_", "x")) is not None
    except ValueError:
        return False


def json_field(path: str, name: str, value: str) -> str:
    """`line 7`, where a record's field has this value; empty where none is found."""
    for number, line in _lines(path, "utf-8"):
        if value.strip('"') in line:
            record = _parsed(line)
            if isinstance(record, dict) and str(record.get(name)) == value.strip('"'):
                return _line(number)
    return ""


def json_value(path: str, value: str) -> str:
    """`line 7, column 'id'`: the first record with a field of this value; empty where none is found."""
    for number, line in _lines(path, "utf-8"):
        record = _parsed(line) if value in line else None
        fields = record.items() if isinstance(record, dict) else ()
        name = next((str(name) for name, found in fields if str(found).strip() == value), None)
        if name is not None:
            return f"{_line(number)}, column '{name}'"
    return ""


def no_object(path: str) -> str:
    """`line 7`: the first with something else than an object, or an array of objects; empty where none is found."""
    for number, line in _lines(path, "utf-8"):
        record = _parsed(line) if line.strip() else {}
        if not all(isinstance(one, dict) for one in (record if isinstance(record, list) else [record])):
            return _line(number)
    return ""


def broken_json(path: str) -> str:
    """`line 7`: the first that is no JSON; empty where all are."""
    return next(
        (_line(number) for number, line in _lines(path, "utf-8") if line.strip() and _parsed(line) is _BROKEN), ""
    )


_BROKEN = object()


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return _BROKEN


def _line(number: int) -> str:
    return f"line {number:,}"


def _lines(path: str, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines of a file of this machine, as far as it is sensible to read it again; none where that fails."""
    try:
        with open(path, "rb") as file:
            packed = packing(file.read(8))
            file.seek(0)
            stream = unpacked(file, packed)
            text = b""
            while (data := stream.read(_PIECE)) and len(text) < _MOST:
                text += data
    except (OSError, EOFError):
        return
    yield from enumerate(text.decode(encoding, errors="replace").splitlines(), start=1)
