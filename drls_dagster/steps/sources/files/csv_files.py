"""CSV files as people mean them: quotes as in RFC 4180, and columns by the names in the header of each file.

Spark itself takes the columns of a schema by place, whatever the header says, so that a schema that leaves one out or
has them in another order gives wrong values without an error; it looks at the header of one file; and it takes `""`
inside quotes for their end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.steps.sources.files.csv_header import Dialect, header_of
from drls_dagster.steps.sources.files.found_types import only_plain
from drls_dagster.steps.sources.files.framing import Contents, empty, union
from drls_dagster.steps.sources.files.heads import Head, byte_encoding, heads_of, pieces_of
from drls_dagster.steps.sources.files.placing import Placed, place
from drls_dagster.steps.sources.files.quotes import LineEnds, broken_line, of_bytes, open_quote
from drls_dagster.steps.sources.files.storage import in_parallel
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

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_WIDE = ("utf-16", "utf-32", "utf16", "utf32")


@dataclass(frozen=True)
class Group:
    """Files whose columns are in the same order: what Spark reads at once."""

    names: tuple[str, ...]  # empty where the columns have no names
    heads: tuple[Head, ...]
    line: str = ""  # how every line of these files ends, where Spark would change that in quotes


def read_csv(reader: Reader, node: str, source: FilesSource, contents: Contents) -> DataFrame:
    """The rows of CSV files, columns by name. Raises SourceUnreadable naming the file that does not fit."""
    options = csv_options(source)
    heads = heads_of(node, contents.files, encoding_of(options), "CSV file")
    rows = [head for head in heads if not head.empty]
    schema = dict(source.schema_ or {})
    own = {name: kind for name, kind in schema.items() if name.lower() not in contents.folder_names}
    nested = next((name for name, kind in own.items() if "<" in kind), None)
    if nested is not None:
        raise SourceUnreadable(
            f"node '{node}': the column '{nested}' is {own[nested]}, which a CSV file cannot hold; declare it as "
            "`string`, and convert it in the SQL, for example with from_json"
        )
    if not rows and not schema:
        raise SourceUnreadable(
            f"node '{node}': {contents.files[0][0]} is empty, and so is every other file, so the columns are "
            "unknown: give the source a schema"
        )
    named = options.get("header", "false").lower() == "true"
    by_place = not named or (bool(schema) and options.get("enforceschema", "false").lower() == "true")
    groups = _groups(node, rows, options, named, dict(contents.files))
    broken = broken_column(options)
    if schema and not by_place:
        for group in groups:
            _refuse_missing(node, group, own, broken)
    if not groups:
        return empty(reader, contents.with_folders(schema))
    latin = (encoding_of(options) or "").lower().replace("_", "-") in {"iso-8859-1", "latin1", "latin-1"}
    items = [text_item(node, head, contents.path_of(head.name), ".csv", latin=latin) for head in rows]
    # One encoding for all: where one file had to be decoded, Spark reads UTF-8, and the others are decoded as well.
    if latin and any(item.convert is not None for item in items):
        items = [text_item(node, head, contents.path_of(head.name), ".csv", latin=False) for head in rows]
    for name in ("encoding", "charset"):
        options.pop(name, None)
    if latin and all(item.convert is None for item in items):
        options["encoding"] = "ISO-8859-1"
    placed = place(reader, node, items, contents.folders)
    if not schema:
        own = _found(reader, groups, placed, options)
    frames = [
        _frame(reader, group, placed, options, own, contents, by_place=by_place and bool(schema)) for group in groups
    ]
    return contents.counted(reader, refuse_replaced(union(frames), node, options, rows, items))


def csv_options(source: FilesSource) -> dict[str, str]:
    """The source's options and what DRLS adds where they say nothing."""
    options = text_options(source)
    options.setdefault("escape", '"')
    options.pop("inferschema", None)
    if source.options.keys() and (given := encoding_of(options)) and given.lower().startswith(_WIDE):
        options.pop("linesep", None)  # of the copy in UTF-8, lines end as usual
    if options["mode"].upper() in {"FAILFAST", "DROPMALFORMED"}:
        # Otherwise Spark does not look at columns that nobody needs, and so not at rows that have too few or many.
        options.setdefault("columnpruning", "false")
    return options


def _groups(
    node: str, heads: Sequence[Head], options: Mapping[str, str], named: bool, paths: Mapping[str, str]
) -> list[Group]:
    dialect = Dialect.of(options)
    found: dict[tuple[tuple[str, ...], str], list[Head]] = {}
    lines = in_parallel(lambda head: _refuse_open_quotes(node, head, paths[head.name], dialect), heads)
    for head, line in zip(heads, lines, strict=True):
        names = () if not named or head.opaque else header_of(head, dialect)
        if names is None:
            raise SourceUnreadable(f"node '{node}': the header of {head.name} is too long to be a header")
        twice = same_names([name for name in names if name])
        if twice:
            raise SourceUnreadable(
                f"node '{node}': the header of {head.name} names the column '{twice[0]}' twice (case does not "
                "matter); rename one where the file is written"
            )
        own = "" if "linesep" in options else line
        found.setdefault((tuple(names), own), []).append(head)
    return [Group(names, tuple(members), line) for (names, line), members in found.items()]


def _refuse_open_quotes(node: str, head: Head, path: str, dialect: Dialect) -> str:
    """Looks through all of the file: Spark takes what follows an open quote for the value, without an error.

    Answers how all lines end where that is a carriage return and a line feed, in quotes as well: unless Spark knows
    that, it reads a line feed there.
    """
    if head.opaque:
        return ""
    ends = LineEnds(pieces_of(node, head, path))
    pieces, own = iter(ends), of_bytes(dialect, byte_encoding(head.encoding))
    if dialect.multiline and (line := open_quote(pieces, own)) is not None:
        raise SourceUnreadable(
            f"node '{node}': the quoted value that begins in line {line:,} of {head.name} does not end; correct it "
            "there, or send the file again"
        )
    if not dialect.multiline and (line := broken_line(pieces, own)) is not None:
        raise SourceUnreadable(
            f"node '{node}': line {line:,} of {head.name} has a quoted value that spans several lines; set "
            "`multiLine: true` in the source's options"
        )
    return "\r\n" if dialect.multiline and dialect.quote and ends.are_all_crlf else ""


def _refuse_missing(node: str, group: Group, schema: Mapping[str, str], broken: str) -> None:
    if not group.names:
        return
    has = {name.lower() for name in group.names}
    missing = [name for name in schema if name.lower() not in {*has, broken}]
    if missing:
        shown = ", ".join(name if name == name.strip() and name else repr(name) for name in group.names)
        raise SourceUnreadable(
            f"node '{node}': the header of {group.heads[0].name} lacks {', '.join(missing)}; it has {shown}. "
            "Correct the source's schema, or set `enforceSchema: true` in its options to match columns by "
            "position"
        )


def _found(reader: Reader, groups: Sequence[Group], placed: Placed, options: Mapping[str, str]) -> dict[str, str]:
    """The columns of all files, with the types that hold what is in them: Spark looks at every row for that."""
    samples: dict[tuple[str, ...], dict[str, list[Head]]] = {}
    for group in groups:
        for head in group.heads:
            # Spark takes for a header what is, letter by letter, the first line of the first file.
            line = head.text.lstrip("\ufeff\r\n").splitlines()[0] if group.names else ""
            samples.setdefault(group.names, {}).setdefault(line, []).append(head)
    kinds: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for names, by_line in samples.items():
        for heads in by_line.values():
            if len(samples) + len(by_line) > 2 and all(_only_header(head) for head in heads):
                found = dict.fromkeys(names, "")
            else:
                load = reader.spark.read.format("csv").options(**{**options, "inferSchema": "true"})
                schema = load.load([placed.paths[head.name] for head in heads]).schema
                # Names by place: Spark changes those that are empty.
                own = [_named(name, at) for at, name in enumerate(names)] or schema.names
                kinds_found = only_plain(reader.spark, [placed.paths[head.name] for head in heads], schema, options)
                found = dict(zip(own, kinds_found, strict=False))
            for name, kind in found.items():
                known = spelled.setdefault(name.lower(), name)
                kinds[known] = wider(kinds[known], kind) if kinds.get(known) and kind else kinds.get(known) or kind
    return {name: kind or "string" for name, kind in kinds.items()}


def _only_header(head: Head) -> bool:
    return head.whole and not head.opaque and len(head.text.strip("\ufeff\r\n ").splitlines()) <= 1


def _frame(
    reader: Reader,
    group: Group,
    placed: Placed,
    options: Mapping[str, str],
    schema: Mapping[str, str],
    contents: Contents,
    *,
    by_place: bool,
) -> DataFrame:
    """The rows of one group, with exactly the columns of `schema` and the folders."""
    broken = broken_column(options)
    spelled = {name.lower(): name for name in schema}
    kinds: dict[str, str] = {}
    rest: Mapping[str, str] = {}
    load = reader.spark.read.format("csv").options(**options)
    if group.line:
        load = load.option("lineSep", group.line)
    if not group.names:
        kinds = dict(schema)
        if any(head.opaque for head in group.heads):
            load = load.option("enforceSchema", "false")  # nobody but Spark has seen the header
    elif by_place:
        wanted = [name for name in schema if name.lower() != broken]
        kinds = {name: schema[name] for name in wanted[: len(group.names)]}
        kinds |= {f"_c{at}": "string" for at in range(len(kinds), len(group.names))}
        rest = {name: schema[name] for name in wanted[len(group.names) :]}
        load = load.option("enforceSchema", "true")
    else:
        for at, name in enumerate(group.names):
            known = spelled.get(name.lower(), _named(name, at))
            kinds[known] = schema.get(known, "string")
        rest = {name: kind for name, kind in schema.items() if name not in kinds and name.lower() != broken}
        plain = all(group.names) and not {name.lower() for name in group.names} & contents.folder_names
        load = load.option("enforceSchema", "false" if plain else "true")  # Spark looks at the headers as well
    if broken in spelled:
        kinds[spelled[broken]] = schema[spelled[broken]]
    held = {name: kind for name, kind in kinds.items() if name.lower() not in {*contents.folder_names, broken}}
    strict = Strict(contents.node, held, options, is_json=False)
    made = strict.made()
    if strict and broken in spelled:
        made[spelled[broken]] = strict.broken(spelled[broken], list(held), Dialect.of(options).sep)
    kinds = {name: strict.read_as(name, kind) for name, kind in kinds.items()}
    # A column of a folder's name: the folder says what is in it, as Spark has it.
    own = {
        name if name.lower() not in contents.folder_names else f"{name} of the file": kind
        for name, kind in kinds.items()
    }
    paths = [placed.paths[head.name] for head in group.heads]
    order = {**schema, **contents.folder_kinds(schema)}
    return contents.frame(load, placed, paths, own, order, rest, made, strict.drops())


def _named(name: str, at: int) -> str:
    """What a column without a name in the header is called."""
    return name or f"_c{at}"
