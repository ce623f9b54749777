"""What went wrong in a file while Spark read it: the file's own name, the line and what helps. Never what is in it.

These messages are shown to everyone who may see the run, and not all of them may see the data.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import unquote

from drls_dagster.errors import DrlsError
from drls_dagster.steps.sources.files import pointing
from drls_dagster.steps.sources.files.csv_files import csv_options
from drls_dagster.steps.sources.files.heads import decoder_of, packing, unpacked
from drls_dagster.steps.sources.files.text_files import (
    NO_DATE,
    NO_DECIMAL,
    NO_NUMBER,
    NO_TIMESTAMP,
    REPLACED,
    encoding_of,
)
from drls_dagster.steps.sources.pins import SourceUnreadable
from lifecycle.spec import FilesSource

Files = Sequence[tuple[str, str]]  # the name for people, and where it lies
_FILE = re.compile(r"while reading file (\S.*?)\.\s+(?:Data type mismatches|File does not exist|SQLSTATE|\n|$)")
_RECORD = re.compile(r"MALFORMED_CSV_RECORD\] Malformed CSV record: (.*?)(?: SQLSTATE|\n|$)")
_FIELD = re.compile(
    r"CANNOT_PARSE_JSON_FIELD\] Cannot parse the field name (.*?) and the value (.*?) of the JSON token"
)
_VALUE = re.compile(
    r"(?:For input string: |CAST_INVALID_INPUT\] The value |Text |Unparseable number: |Cannot parse field value )"
    r"[\"'](.*?)[\"']"
    r"|Numeric value \((.*?)\) out of range"
)
_JSON = re.compile(r"JsonParseException: |JsonEOFException: ")
_MANY = re.compile(r"ArrayIndexOutOfBoundsException - Index (\d+) out of bounds for length \1\b")
# By what is wrong, or by type.
_FITS = {
    NO_DATE: pointing.is_date, NO_TIMESTAMP: pointing.is_timestamp, NO_NUMBER: pointing.is_number,
    "timestamp_ntz": pointing.is_wall_clock,
}  # fmt: skip
_WRONG = {
    NO_DECIMAL: "not a decimal as in 1234.5, or that does not fit; correct it, or declare the column as `string`",
    NO_DATE: "not a date as in 2024-01-31 (a time of day is not left out); correct it, or declare the column as "
    "`timestamp` or `string`",
    NO_TIMESTAMP: "not a timestamp as in 2024-01-31 10:30:00; correct it, set the option `timestampFormat` (for "
    "`timestamp_ntz`: `timestampNTZFormat`), or declare the column as `string`",
    NO_NUMBER: "not a number as in 1234.5; correct it, or declare the column as `string`",
}
_SAME = re.compile(r"COLUMN_ALREADY_EXISTS\] The column `(.*?)` already exists")
_TOLD = re.compile(r"(the column '.*?)(?: SQLSTATE|\n|$)")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|(?:file:)?/\S+")
# Words about Spark's own code.
_OF_JAVA = re.compile(r"\b(?:org|java)\.|\b[Cc]lass |@[0-9a-f]{4,}|Index -?\d+ out of bounds")
_PIECE = 4 * 2**20


def explained(error: BaseException, node: str, source: FilesSource, files: Files, folder: str) -> DrlsError | None:
    """The error of one of the pinned files, in words; None where it is about something else."""
    text = str(error)
    mark = REPLACED.removeprefix("DRLS: ")
    if mark in text and f"of node '{node}'" in text:
        column = text.partition(mark)[2].partition("' of node")[0].strip("'")
        return _undecoded(node, column, files)
    for what in (NO_DECIMAL, NO_DATE, NO_TIMESTAMP, NO_NUMBER):
        mark = what.removeprefix("DRLS: ")
        if mark in text and f"of node '{node}'" in text:
            column = text.partition(mark)[2].partition("' of node")[0].strip("'")
            return _misfit(node, column, what, source, files)
    if source.format == "parquet" and (told := _TOLD.search(text)) and f"' of node '{node}' is, in " in told[1]:
        return SourceUnreadable(f"node '{node}': {told[1].strip()}")
    if source.format == "json" and (same := _SAME.search(text)):
        return SourceUnreadable(
            f"node '{node}': records have '{same[1]}' twice, or in both upper and lower case (files such as "
            f"{files[0][0]}); give the source a schema that names the intended one"
        )
    if source.format == "json" and "INVALID_JSON_RECORD_TYPE" in text:
        return _no_object(node, files)
    found = _FILE.search(text)
    if source.format == "csv" and (most := _MANY.search(text)):
        file = _own_file(found[1], files, folder) if found else None
        name = file[0] if file else files[0][0] if len(files) == 1 else f"{files[0][0]} or another file"
        return SourceUnreadable(
            f"node '{node}': {name} has more than {int(most[1]):,} columns; set `maxColumns` in the source's options"
        )
    if found is not None:
        file = _own_file(found[1], files, folder)
    else:  # where Spark looks for the columns of JSON, it does not say where it is
        file = _broken(files) if source.format == "json" and "MALFORMED_RECORD_IN_PARSING" in text else None
    return None if file is None else _of_file(node, text, source, *file)


def _of_file(node: str, text: str, source: FilesSource, name: str, where: str) -> DrlsError:
    """What Spark says of one file."""
    if "MALFORMED_RECORD_IN_PARSING" in text or "CSV header does not conform" in text:
        place, what = _what(text, source, where)
        return SourceUnreadable(
            f"node '{node}': {name}{f' ({place})' if place else ''} has a record that cannot be read{what}. Correct "
            "it, or set in the source's options `mode: PERMISSIVE` (unreadable values become null) or `mode: "
            "DROPMALFORMED` (unreadable records are dropped)"
        )
    if "Permission denied" in text:
        return SourceUnreadable(
            f"node '{node}': the engine may not read {name}; check the file's mode, or stop the engine (`drls engine "
            "stop`) and run again: its fence opens the folders in sources.roots that exist when it starts"
        )
    said = next((line for line in text.splitlines() if line.startswith("Caused by: ")), "").partition(": ")[2]
    reason = _QUOTED.sub("…", said.partition(": ")[2] or said)
    if _OF_JAVA.search(reason):
        reason = "it is damaged, or has a part that Spark does not know"
    if not reason and source.format == "json":
        reason = "each record must be an object, {…}"
    what = f" ({reason[:200].strip()})" if reason else ""
    return SourceUnreadable(f"node '{node}': {name} cannot be read{what}; check how it was written, and send it again")


def _misfit(node: str, column: str, what: str, source: FilesSource, files: Files) -> DrlsError:
    options, schema = csv_options(source), source.schema_ or {}
    encoding = encoding_of(options) or "utf-8"
    kind = schema.get(column, "")
    fits = _FITS.get(kind) or _FITS.get(what) or pointing.decimal_of(kind)
    places = (
        (name, pointing.csv_misfit(where, column, encoding, options, schema, fits))
        if source.format == "csv"
        else (name, pointing.json_misfit(where, column, fits))
        for name, where in files
        if "://" not in where
    )
    name, place = next((one for one in places if one[1]), (f"{files[0][0]} or another file", ""))
    wrong = _WRONG[what]
    return SourceUnreadable(
        f"node '{node}': {name} ({f'{place}, ' if place else ''}column '{column}') has a value that is {wrong} and "
        "convert it in the SQL"
    )


def _broken(files: Files) -> tuple[str, str]:
    """The first file of this machine that has a line that is no JSON."""
    for name, where in files:
        if "://" not in where and pointing.broken_json(where):
            return name, where
    return f"{files[0][0]} or another file", ""


def _no_object(node: str, files: Files) -> DrlsError:
    """Spark has looked for columns, found a record that has none, and does not say where."""
    for name, where in files:
        if "://" not in where and (place := pointing.no_object(where)):
            return SourceUnreadable(
                f"node '{node}': {name} ({place}) has a record that is not an object, {{…}}; correct it, or read the "
                "file another way: only objects have columns"
            )
    return SourceUnreadable(f"node '{node}': {files[0][0]} or another file has a record that is not an object, {{…}}")


def _what(text: str, source: FilesSource, where: str) -> tuple[str, str]:
    """Where in the file the record is, and what is wrong with it."""
    record, fld, value = (pattern.search(text) for pattern in (_RECORD, _FIELD, _VALUE))
    here = bool(where) and "://" not in where
    options = csv_options(source) if source.format == "csv" else {}
    encoding = encoding_of(options) or "utf-8"
    if record:
        hint = "; a quoted value that spans several lines needs `multiLine: true`" if '"' in record[1] else ""
        place = pointing.csv_record(where, record[1], encoding) if here else ""
        return place, f": it has more or fewer values than there are columns{hint}"
    if fld:
        name, value_of = (part.strip("`'\"") for part in fld.groups())
        place = pointing.json_field(where, name, value_of) if here else ""
        field = "a field of it" if name == "NULL" else f"its field '{name}'"  # Spark does not name what is in a list
        return place, f": {field} does not have the type in the schema"
    if value:
        found = (value[1] or value[2]).strip()
        if not here:
            place = ""
        elif source.format == "csv":
            place = pointing.csv_value(where, found, encoding, options, source.schema_ or {})
        else:
            place = pointing.json_value(where, found)
        return place, ": a value does not have the type in the schema"
    if "INVALID_JSON_ROOT_FIELD" in text:
        return (pointing.no_object(where) if here else ""), ": it is not an object, {…}"
    if source.format == "json" and _JSON.search(text):
        return (pointing.broken_json(where) if here else ""), ": it is not JSON"
    return "", ""


def _own_file(uri: str, files: Files, folder: str) -> tuple[str, str] | None:
    """The pinned file that Spark names by its own path, or by that of the link or copy that was made of it."""
    raw = re.sub(r"^file:/*", "/", uri)
    path = unquote(raw)
    for name, where in files:
        if where in (path, raw):
            return name, where
    if path.startswith(f"{folder.removeprefix('file://')}/") or raw.startswith(f"{folder}/"):
        number = os.path.basename(path).partition(".")[0]
        if number.isdigit() and int(number) < len(files):
            name, where = files[int(number)]
            return name, where if "://" not in where else path
    return None


def _undecoded(node: str, column: str, files: Files) -> DrlsError:
    """Only now, when something is wrong, are the files of this machine read from end to end."""
    for name, where in files:
        if "://" in where:
            continue
        at = _first_wrong(where)
        if at is not None:
            return SourceUnreadable(
                f"node '{node}': {name} is not UTF-8: byte {at:,} cannot be decoded (column '{column}'); set "
                "its `encoding` in the source's options, such as ISO-8859-1 or windows-1252, or convert the "
                "file"
            )
    return SourceUnreadable(
        f"node '{node}': column '{column}' contains the character U+FFFD, which replaces one that could not "
        "be decoded; if it is intended, set `mode: PERMISSIVE` in the source's options"
    )


def _first_wrong(name: str) -> int | None:
    decode, at = decoder_of("utf-8"), 0
    with open(name, "rb") as file:
        packed = packing(file.read(8))
        file.seek(0)
        stream = unpacked(file, packed)
        while True:
            data = stream.read(_PIECE)
            try:
                decode(data, final=not data)
            except UnicodeDecodeError as error:
                return at + error.start
            if not data:
                return None
            at += len(data)
