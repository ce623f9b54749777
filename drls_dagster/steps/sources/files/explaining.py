"""What went wrong in a file while Spark read it, with the file's own name and what helps."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from drls_dagster.errors import DrlsError
from drls_dagster.steps.sources.files.heads import decoder_of, packing, unpacked
from drls_dagster.steps.sources.files.text_files import REPLACED
from drls_dagster.steps.sources.pins import SourceUnreadable
from lifecycle.spec import FilesSource

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE = re.compile(r"while reading file (\S.*?)\.\s+(?:Data type mismatches|SQLSTATE|\n|$)")
_RECORD = re.compile(r"MALFORMED_CSV_RECORD\] Malformed CSV record: (.*?)(?: SQLSTATE|\n|$)")
_FIELD = re.compile(
    r"CANNOT_PARSE_JSON_FIELD\] Cannot parse the field name (.*?) and the value (.*?) of the JSON token"
)
_VALUE = re.compile(r"(?:For input string: |CAST_INVALID_INPUT\] The value |Text |Unparseable number: )([\"'].*?[\"'])")
_JSON = re.compile(r"JsonParseException: (.*?)(?:\n|$)|JsonEOFException: (.*?)(?:\n|$)")
_SAME = re.compile(r"COLUMN_ALREADY_EXISTS\] The column `(.*?)` already exists")
_TOLD = re.compile(r"(the column '.*?)(?: SQLSTATE|\n|$)")
_PIECE = 4 * 2**20
_MOST = 64 * 2**20


def explained(
    error: BaseException, node: str, source: FilesSource, names: Sequence[str], folder: str
) -> DrlsError | None:
    """The error of one of the pinned files `names`, in words; None where it is about something else."""
    text = str(error)
    mark = REPLACED.removeprefix("DRLS: ")
    if mark in text and f"of node '{node}'" in text:
        column = text.partition(mark)[2].partition("' of node")[0].strip("'")
        return _undecoded(node, column, names)
    if source.format == "parquet" and (told := _TOLD.search(text)) and f"' of node '{node}' is, in " in told[1]:
        return SourceUnreadable(f"node '{node}': {told[1].strip()}")
    if source.format == "json" and (same := _SAME.search(text)):
        return SourceUnreadable(
            f"node '{node}': records have '{same[1]}' in both upper and lower case (files such as "
            f"{names[0]}); give the source a schema that names the intended one"
        )
    found = _FILE.search(text)
    if found is None and source.format == "json" and "MALFORMED_RECORD_IN_PARSING" in text:
        name = _broken_lines(names)  # Spark has looked for columns, and does not say where
    else:
        name = None if found is None else _own_name(found[1], names, folder)
    if name is None:
        return None
    if "MALFORMED_RECORD_IN_PARSING" in text or "CSV header does not conform" in text:
        return SourceUnreadable(
            f"node '{node}': {name} has a record that cannot be read{_what(text, source)}. Correct it, or set "
            "in the source's options `mode: PERMISSIVE` (unreadable values become null) or `mode: "
            "DROPMALFORMED` (unreadable records are dropped)"
        )
    said = next((line for line in text.splitlines() if line.startswith("Caused by: ")), "").partition(": ")[2]
    reason = said.partition(": ")[2] or said
    if not reason and source.format == "json":
        reason = "each record must be an object, {…}"
    return SourceUnreadable(f"node '{node}': {name} cannot be read{f' ({reason[:200].strip()})' if reason else ''}")


def _broken_lines(names: Sequence[str]) -> str:
    """The first line that is no JSON, as people find it."""
    for name in names:
        if "://" in name:
            continue
        with open(name, "rb") as file:
            packed = packing(file.read(8))
            file.seek(0)
            text = b""
            stream = unpacked(file, packed)
            while (data := stream.read(_PIECE)) and len(text) < _MOST:
                text += data
        for number, line in enumerate(text.split(b"\n"), start=1):
            try:
                json.loads(line if line.strip() else b"null")
            except ValueError:
                return f"{name} (line {number:,})"
    return f"{names[0]} or another file"


def _what(text: str, source: FilesSource) -> str:
    record, fld, value, broken = (pattern.search(text) for pattern in (_RECORD, _FIELD, _VALUE, _JSON))
    if record:
        hint = "; a quoted value that spans several lines needs `multiLine: true`" if '"' in record[1] else ""
        return f": {_short(record[1])} has more or fewer values than there are columns{hint}"
    if fld:
        return f": {fld[1]} is {_short(fld[2])}, which does not have the type in the schema"
    if value:
        return f": {_short(value[1])} does not have the type in the schema"
    if broken and source.format == "json":
        return f": {_short((broken[1] or broken[2]).rstrip('.'))}"
    return ""


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 120 else f"{flat[:117]}…"


def _own_name(uri: str, names: Sequence[str], folder: str) -> str | None:
    """The pinned name of a file that Spark names: its own, or that of the link or copy that was made of it."""
    path = unquote(re.sub(r"^file:/*", "/", uri))
    raw = re.sub(r"^file:/*", "/", uri)
    if path in names or raw in names:
        return path if path in names else raw
    if path.startswith(f"{folder.removeprefix('file://')}/") or raw.startswith(f"{folder}/"):
        number = os.path.basename(path).partition(".")[0]
        if number.isdigit() and int(number) < len(names):
            return names[int(number)]
    return None


def _undecoded(node: str, column: str, names: Sequence[str]) -> DrlsError:
    """Only now, when something is wrong, are the files of this machine read from end to end."""
    for name in names:
        if "://" in name:
            continue
        at = _first_wrong(name)
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
