"""JSON files: a record on each line, or documents laid out over several lines, which are taken apart first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from drls_dagster.steps.sources.files.after_records import first_after_record
from drls_dagster.steps.sources.files.characters import half_character
from drls_dagster.steps.sources.files.framing import Contents, ddl, empty, union
from drls_dagster.steps.sources.files.heads import Head, heads_of, pieces_of, text_of
from drls_dagster.steps.sources.files.json_moments import Moments
from drls_dagster.steps.sources.files.parquet_types import Array, Kind, Leaf, Map, Struct, declared
from drls_dagster.steps.sources.files.placing import Convert, Item, place
from drls_dagster.steps.sources.files.strict_values import Strict
from drls_dagster.steps.sources.files.text_files import (
    broken_column,
    encoding_of,
    refuse_replaced,
    same_names,
    text_item,
    text_options,
    wider,
)
from drls_dagster.steps.sources.pins import Reader, SourceUnreadable
from lifecycle.spec import FilesSource
from lifecycle.spec.repeated import repeated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

_SPACE = re.compile(r"[ \t\r\n]*")
_LOOKED_AT = 200  # records
_LONGEST = 256 * 2**20
_READER = json.JSONDecoder()
_CASE = "spark.sql.caseSensitive"


def read_json(reader: Reader, node: str, source: FilesSource, contents: Contents) -> DataFrame:
    """The rows of JSON files. Raises SourceUnreadable naming the file that cannot be read."""
    options = text_options(source)
    heads = heads_of(node, contents.files, encoding_of(options), "JSON file")
    rows = [head for head in heads if not head.empty]
    schema = dict(source.schema_ or {})
    if not rows:
        if not schema:
            raise SourceUnreadable(
                f"node '{node}': {contents.files[0][0]} is empty, and so is every other file, so the columns "
                "are unknown: give the source a schema"
            )
        return empty(reader, contents.with_folders(schema))
    whole = options.pop("multiline", "false").lower() == "true"
    lenient = [head for head in rows if whole and not _is_strict(head)]
    broken = broken_column(options)
    own = {name: kind for name, kind in schema.items() if name.lower() not in contents.folder_names}
    _refuse_kinds(node, {name: kind for name, kind in own.items() if name.lower() != broken})
    moments = Moments({name: kind for name, kind in own.items() if name.lower() != broken}, options)
    for head in rows:
        path = contents.path_of(head.name)
        _refuse_no_moments(node, head, path, moments)
        if options["mode"].upper() != "PERMISSIVE" and (line := half_character(node, head, path)) is not None:
            raise SourceUnreadable(
                f"node '{node}': {head.name} has half of a surrogate pair in line {line}, which is no character; "
                "correct it, or set `mode: PERMISSIVE` in the source's options"
            )
        if head not in lenient and not _is_laid_out(head):
            _refuse_more_in_a_line(node, head, path, options["mode"].upper())
        if options["mode"].upper() != "PERMISSIVE" or broken in {name.lower() for name in schema}:
            _refuse_other_case(node, head, {name: kind for name, kind in own.items() if name.lower() != broken})
    items = [_item(node, head, contents.path_of(head.name), natively=head in lenient) for head in rows]
    for name in ("encoding", "charset"):
        options.pop(name, None)
    placed = place(reader, node, items, contents.folders)
    groups = [
        ([placed.paths[head.name] for head in rows if (head in lenient) == multiline], {"multiLine": str(multiline)})
        for multiline in (False, True)
    ]
    groups = [(paths, layout) for paths, layout in groups if paths]
    if not schema:
        own = _found(reader, node, [(paths, {**options, **layout}) for paths, layout in groups], contents)
    order = {**(schema or own), **contents.folder_kinds(schema or own)}
    held = {name: kind for name, kind in own.items() if name.lower() != broken}
    strict = Strict(node, held, options, is_json=True)
    made = strict.made()
    spelled = next((name for name in own if name.lower() == broken), None)
    if strict and spelled is not None:
        made[spelled] = strict.broken(spelled, list(held), "")
    own = {name: strict.read_as(name, kind) for name, kind in own.items()}
    frames = [
        contents.frame(
            reader.spark.read.format("json").options(**options, **layout),
            placed, paths, own, order, {}, made, strict.drops(),
        )
        for paths, layout in groups
    ]  # fmt: skip
    return contents.counted(reader, refuse_replaced(union(frames), node, options, rows, items))


def _refuse_kinds(node: str, schema: Mapping[str, str]) -> None:
    """Types that JSON has no values of. Spark drops records whose text is no base64, and cannot make other keys."""
    for name, text in schema.items():
        found = _not_in_json(declared(text))
        if found:
            raise SourceUnreadable(f"node '{node}': column '{name}' of the source's schema {found}")


def _not_in_json(kind: Kind) -> str:
    if isinstance(kind, Leaf):
        how = "declare `string`, and write unbase64() or another function in the SQL"
        return f"is binary, and JSON has no bytes; {how}" if kind.kind == "binary" else ""
    if isinstance(kind, Struct):
        return next((found for of in kind.fields.values() if (found := _not_in_json(of))), "")
    if isinstance(kind, Array):
        return _not_in_json(kind.element)
    if isinstance(kind.key, Leaf) and kind.key.kind == "string":
        return _not_in_json(kind.value)
    return (
        "is a map whose keys are not text, and JSON has no others; declare map<string, …> and convert them in the SQL"
    )


def _refuse_no_moments(node: str, head: Head, path: str, moments: Moments) -> None:
    """In every mode: Spark makes a moment of such a text, and not null."""
    if head.opaque:
        return
    pieces = pieces_of(node, head, path)
    if _is_laid_out(head):
        text = (piece.decode("utf-8", "replace") for piece in pieces)
        pieces = (f"{one}\n".encode() for one in _of_document(_without_mark(text)))
    found = moments.first_misfit(pieces)
    if found is not None:
        what = "record" if _is_laid_out(head) else "line"
        raise SourceUnreadable(
            f"node '{node}': {head.name} ({what} {found[0]:,}, column '{found[1]}') has a text that is not a timestamp "
            "as in 2024-01-31 10:30:00; correct it, set the option `timestampFormat`, or declare the column as "
            "`string` and convert it in the SQL"
        )


def _of_document(text: Iterator[str]) -> Iterator[str]:
    """The records of a document on a line each, as far as it can be read."""
    try:
        for record in _records(text, cut=True):
            yield record.replace("\r", " ").replace("\n", " ")
    except json.JSONDecodeError:
        return


def _refuse_more_in_a_line(node: str, head: Head, path: str, mode: str) -> None:
    if mode == "PERMISSIVE" or head.opaque:
        return
    line = first_after_record(pieces_of(node, head, path))
    if line is not None:
        raise SourceUnreadable(
            f"node '{node}': line {line:,} of {head.name} continues after its record; put each record on a line of its "
            "own, or set `mode: PERMISSIVE` in the source's options to read the first one of a line"
        )


def _item(node: str, head: Head, path: str, *, natively: bool) -> Item:
    """Spark reads lines of UTF-8; what is laid out otherwise becomes that in a copy."""
    if not natively and _is_laid_out(head):
        return Item(head.name, path, ".json", convert=_as_lines(node, head))
    return text_item(node, head, path, ".json", latin=False)


def _is_laid_out(head: Head) -> bool:
    """Whether the first record does not end where its line ends."""
    if head.opaque:
        return False
    text = head.text.removeprefix("\ufeff")
    start = _end_of_space(text, 0)
    line = text[start:].split("\n", 1)[0].rstrip("\r")
    try:
        _, end = _READER.raw_decode(line)
    except json.JSONDecodeError as error:
        # A line that ends too early is the beginning of something; one that is wrong before is a broken record.
        cut = "\n" in text[start:] or head.whole
        return cut and line[:1] in {"{", "["} and error.pos >= len(line.rstrip())
    except RecursionError:
        return False
    return line[end:].strip(" \t,") != "" or line[end:].strip() == ","


def _is_strict(head: Head) -> bool:
    """Whether what was read is JSON by its standard, as far as it goes."""
    text = head.text.removeprefix("\ufeff")
    try:
        for _ in _records(iter([text]), cut=not head.whole):
            pass
    except json.JSONDecodeError:
        return False
    return True


def _as_lines(node: str, head: Head) -> Convert:
    """Writes each record of a document, or of several after each other, on a line of its own."""

    def convert(source: IO[bytes], out: IO[bytes]) -> None:
        done = 0
        try:
            for record in _records(_without_mark(text_of(node, head, source)), cut=False):
                out.write(record.replace("\r", " ").replace("\n", " ").encode() + b"\n")
                done += 1
        except json.JSONDecodeError as error:
            raise SourceUnreadable(
                f"node '{node}': {head.name} is not JSON after its first {done:,} record(s): {error.msg}; "
                "records that span several lines must be complete. For non-standard JSON, set `multiLine: true` "
                "and Spark's options for it"
            ) from None

    return convert


def _without_mark(pieces: Iterator[str]) -> Iterator[str]:
    for at, piece in enumerate(pieces):
        yield piece.removeprefix("\ufeff") if at == 0 else piece


def _records(pieces: Iterator[str], *, cut: bool) -> Iterator[str]:  # noqa: PLR0912  one automaton
    """The text of each record: each value of the document, or each element where it is an array.

    `cut`: the text may end anywhere. Raises JSONDecodeError.
    """
    buffer, at, inside, ended = "", 0, False, False
    needs_comma = False
    while True:
        at = _end_of_space(buffer, at)
        if at >= len(buffer):
            if ended:
                break
        elif buffer[at] == "[" and not inside:
            inside, needs_comma, at = True, False, at + 1
            continue
        elif inside and buffer[at] == "]":
            inside, at = False, at + 1
            continue
        elif inside and needs_comma:
            if buffer[at] != ",":
                raise json.JSONDecodeError("',' or ']' is missing", buffer, at)
            needs_comma, at = False, at + 1
            continue
        else:
            try:
                _, end = _READER.raw_decode(buffer, at)
            except json.JSONDecodeError:
                if ended:
                    if cut:
                        return
                    raise
            else:
                if end < len(buffer) or ended:  # a number may continue in the next piece
                    yield buffer[at:end]
                    needs_comma, at = True, end
                    continue
        buffer, at = buffer[at:], 0
        if len(buffer) > _LONGEST:
            raise json.JSONDecodeError(f"a record is longer than {_LONGEST:,} characters", buffer[:100], 0)
        wanted = max(len(buffer), 1)  # twice as much each time, so that a long record is not decoded again and again
        while wanted > 0 and not ended:
            piece = next(pieces, None)
            ended = piece is None
            buffer += piece or ""
            wanted -= len(piece or "")
    if inside and not cut:
        raise json.JSONDecodeError("the array does not end", buffer, len(buffer))


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _exactly(reader: Reader, load: Any, paths: Sequence[str]) -> dict[str, DataType]:
    """The fields that Spark finds. It would keep one of two that differ in case, and have nulls for the other's."""
    before = reader.spark.conf.get(_CASE, "false")
    reader.spark.conf.set(_CASE, "true")
    try:
        return {field.name: field.dataType for field in load.load(list(paths)).schema.fields}
    finally:
        reader.spark.conf.set(_CASE, before or "false")


def _twin(kind: Any, place: str) -> str:
    """A nested field that differs from another in case only, with its place; empty without one."""
    if kind.typeName() == "array":
        return _twin(kind.elementType, place)
    if kind.typeName() != "struct":
        return ""
    twice = same_names(kind.names)
    inside = (_twin(field.dataType, f"{place}{field.name}.") for field in kind.fields)
    return place + twice[0] if twice else next((one for one in inside if one), "")


def _refuse_other_case(node: str, head: Head, schema: Mapping[str, str]) -> None:
    """Spark takes `ID` and `id` of a record for two, and everything else here for one."""
    wanted = Struct({name: declared(kind) for name, kind in schema.items()})
    text = head.text.removeprefix("\ufeff")
    pieces = iter([text]) if schema and not head.opaque else iter([])
    try:
        for number, record in enumerate(_records(pieces, cut=True)):
            if number >= _LOOKED_AT:
                break
            value = json.loads(record, object_pairs_hook=_Object)
            twice = _twice(value, wanted, "")
            if twice is not None:
                raise SourceUnreadable(
                    f"node '{node}': {head.name} has a record with '{twice}' twice; correct it, or set "
                    "`mode: PERMISSIVE` in the source's options to read the last one"
                )
            other = _other_case(value, wanted, "")
            if other is not None:
                raise SourceUnreadable(
                    f"node '{node}': {head.name} writes '{other[0]}' for what the source's schema calls '{other[1]}'; "
                    "write it the same way in the schema, or correct the record; `mode: PERMISSIVE` makes it null"
                )
    except (json.JSONDecodeError, RecursionError):
        return


class _Object(dict[str, Any]):
    """A JSON object that knows which of its keys it was given twice."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = frozenset(repeated(key for key, _ in pairs) if len(self) < len(pairs) else ())


def _twice(value: Any, kind: Kind, place: str) -> str | None:
    """A key of the schema that an object has twice, at any depth."""
    found: Iterator[tuple[Any, Kind, str]] = iter(())
    if isinstance(kind, Struct) and isinstance(value, _Object):
        for name in kind.fields:
            if name in value.twice:
                return place + name
        found = ((value[name], of, f"{place}{name}.") for name, of in kind.fields.items() if name in value)
    elif isinstance(kind, Map) and isinstance(value, _Object):
        if value.twice:
            return place + min(value.twice)
        found = ((one, kind.value, place) for one in value.values())
    elif isinstance(kind, Array) and isinstance(value, list):
        found = ((one, kind.element, place) for one in value)
    return next((twice for one in found if (twice := _twice(*one)) is not None), None)


def _other_case(value: Any, kind: Kind, place: str) -> tuple[str, str] | None:
    """A key in another case than the schema's, and what the schema calls it, at any depth."""
    found: Iterator[tuple[Any, Kind, str]] = iter(())
    if isinstance(kind, Struct) and isinstance(value, dict):
        lower = {key.lower(): key for key in value}
        for name in kind.fields:
            other = lower.get(name.lower())
            if other is not None and name not in value:
                return place + other, place + name
        found = ((value[name], of, f"{place}{name}.") for name, of in kind.fields.items() if name in value)
    elif isinstance(kind, Array) and isinstance(value, list):
        found = ((one, kind.element, place) for one in value)
    elif isinstance(kind, Map) and isinstance(value, dict):
        found = ((one, kind.value, place) for one in value.values())
    return next((other for one in found if (other := _other_case(*one)) is not None), None)


def _found(
    reader: Reader, node: str, groups: Sequence[tuple[Sequence[str], Mapping[str, str]]], contents: Contents
) -> dict[str, str]:
    """The columns of all files, as Spark finds them in every record; once, for it would look at each analysis."""
    kinds: dict[str, str] = {}
    named = any("columnnameofcorruptrecord" in options for _, options in groups)
    for paths, options in groups:
        load = reader.spark.read.format("json").options(**options)
        fields = _exactly(reader, load, paths)
        nested = next((twin for name, kind in fields.items() if (twin := _twin(kind, f"{name}."))), "")
        for name, kind in fields.items():
            kinds[name] = wider(kinds[name], ddl(kind)) if name in kinds else ddl(kind)
        twice = same_names(list(kinds)) or [nested]
        if twice[0]:
            raise SourceUnreadable(
                f"node '{node}': records have '{twice[0]}' in both upper and lower case; correct them, or give the "
                "source a schema that names the intended one, and `mode: PERMISSIVE` for nulls in the others"
            )
    # Spark adds the column for broken records without being asked; who wants it names it.
    hidden = set() if named else {broken_column({})}
    return {name: kind for name, kind in kinds.items() if name.lower() not in {*contents.folder_names, *hidden}}
