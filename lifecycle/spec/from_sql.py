"""A first pipeline from SQL that somebody has: SELECT, CREATE TABLE … AS, or INSERT … SELECT.

Each table becomes a source, the query a spark transform with the text kept as it is, and its target a sink.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifecycle.spec.errors import Problem, SpecError
from lifecycle.spec.naming import free_name, slug

MAX_SQL = 100_000
_QUERY = frozenset({"SELECT", "WITH", "FROM", "VALUES"})
_GIVEN = frozenset({"partition_start", "partition_end", "partition_key"})


@dataclass(frozen=True, slots=True)
class Draft:
    """`definition` as a pipeline file has it, which may still have problems. `notes` say what to decide."""

    definition: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Statement:
    """The query begins at `start`; `header` is the part before it."""

    start: int
    table: str = ""
    mode: str = "overwrite"
    partition_by: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class _Cut:
    """A part of the text, and what replaces it."""

    start: int
    end: int
    text: str


def draft_from_sql(sql: str, *, name: str = "", table: str = "", catalog: str = "lake") -> Draft:
    """`table` is where the result goes, where the SQL does not say it. `catalog` is the name that table names may begin
    with. Raises SpecError for SQL that is not one of these statements, or cannot be read.
    """
    from lifecycle.spec.sqltree import SqlReadError, parse_query

    if len(sql) > MAX_SQL:
        raise _no(f"the SQL is longer than {MAX_SQL} characters", "split it")
    sql = sql.strip().rstrip(";").rstrip()
    statement = _statement(sql, catalog)
    query = sql[statement.start :].strip()
    offset = sql.index(query, statement.start)
    if offset and query.startswith("(") and query.endswith(")") and _wrapped(query):
        query = query[1:-1].strip()
    try:
        tree: Any = parse_query(query)
    except SqlReadError as error:
        raise _no(error.message, error.remedy) from None
    reader = _Tables(tree, catalog)
    text = _replaced(query, reader.cuts)
    notes = [*statement.notes, *reader.notes]
    target = table or statement.table
    if not target:
        target = f"default.{slug(name) or 'result'}"
        notes.append(f"the SQL names no target table: {target} is a guess")
    if "." not in target:
        target = f"default.{target}"
        notes.append(f"{target}: name the namespace of the target table")
    sink = free_name(slug(target.rpartition(".")[2]) or "result", set(reader.nodes.values()))
    step = free_name("query", {*reader.nodes.values(), sink})
    return Draft(
        _definition(name or slug(target.rpartition(".")[2]) or "pipeline", reader, step, sink, text, target, statement),
        tuple(dict.fromkeys([*notes, *_unnamed(tree), *_of_parameters(reader.parameters)])),
    )


def _definition(
    name: str, reader: _Tables, step: str, sink: str, text: str, target: str, statement: _Statement
) -> dict[str, Any]:
    sources = [
        {"id": node, "type": "source", "source": {"kind": "iceberg", "table": table}}
        for table, node in reader.nodes.items()
    ]
    written: dict[str, Any] = {"id": sink, "type": "sink", "table": target, "mode": statement.mode}
    if statement.mode == "append":
        written["repeat"] = True
    if statement.partition_by:
        written["partition_by"] = statement.partition_by
    made: dict[str, Any] = {"format_version": 1, "name": name}
    declared = [one for one in reader.parameters if one not in _GIVEN]
    if declared:
        made["parameters"] = {one: {"type": "string", "default": ""} for one in declared}
    made["nodes"] = [*sources, {"id": step, "type": "transform", "step": "spark", "sql": text}, written]
    made["edges"] = [*({"from": one, "to": step} for one in reader.nodes.values()), {"from": step, "to": sink}]
    return made


def _statement(sql: str, catalog: str) -> _Statement:
    from lifecycle.spec.sqltree import UNREADABLE, tokens_of

    try:
        tokens = tokens_of(sql)
    except UNREADABLE:
        raise _no("the SQL cannot be read", "check its quotes and comments") from None
    if not tokens:
        raise _no("the SQL is empty", "give a SELECT, CREATE TABLE … AS, or INSERT … SELECT")
    kinds = [token.token_type.name for token in tokens]
    words = [token.text.upper() for token in tokens]
    if kinds[0] in _QUERY or kinds[0] == "L_PAREN":
        return _Statement(start=tokens[0].start)
    if kinds[0] == "CREATE":
        start = _query_after(kinds, "ALIAS")
        named = _name_after(tokens, words, {"TABLE", "VIEW"}, {"IF", "NOT", "EXISTS"})
        if start is None or not named:
            raise _no("CREATE without AS SELECT makes an empty table", "give the SELECT that fills it")
        made = _Statement(start=tokens[start].start, table=_table(named, catalog))
        if any(one in words[:start] for one in ("PARTITIONED BY", "PARTITIONED", "TBLPROPERTIES", "CLUSTERED")):
            made.notes.append("partitioning and properties were left out: set partition_by and properties of the sink")
        return made
    if kinds[0] == "INSERT":
        start = next((at for at, kind in enumerate(kinds) if kind in _QUERY and at > 1), None)
        named = _name_after(tokens, words, {"INTO", "OVERWRITE", "TABLE"}, {"TABLE", "INTO"})
        if start is None or not named:
            raise _no("INSERT without a query writes fixed rows", "give the SELECT that makes them")
        return _insert(tokens, kinds, words, start, _table(named, catalog))
    raise _no(
        f"{words[0][:20]} is neither a query nor makes a table of one",
        "give a SELECT, CREATE TABLE … AS, or INSERT … SELECT; of MERGE give the SELECT, then set mode: merge and keys",
    )


def _insert(tokens: Sequence[Any], kinds: list[str], words: list[str], start: int, table: str) -> _Statement:
    made = _Statement(start=tokens[start].start, table=table)
    if kinds[start - 1] == "L_PAREN":
        made.start = tokens[start - 1].start
    if "OVERWRITE" not in words[:3]:
        made.mode = "append"
        made.notes.append(
            "INSERT INTO repeats its rows in each run (repeat: true): use mode: merge with keys, or read: incremental"
        )
    if "PARTITION" in words[:start]:
        made.mode = "overwrite_partitions" if made.mode == "overwrite" else made.mode
        at = words.index("PARTITION")
        for where in range(at + 1, start - 1):
            if kinds[where] not in ("L_PAREN", "COMMA"):
                continue
            column = str(tokens[where + 1].text)
            made.partition_by.append(column)
            if kinds[where + 2 : where + 3] == ["EQ"]:
                made.notes.append(f"PARTITION gives {column} a fixed value: select it AS {column}")
    elif "L_PAREN" in kinds[: start - 1]:
        made.notes.append("the list of columns was left out: name the columns in the SELECT as the table does")
    return made


def _query_after(kinds: list[str], mark: str) -> int | None:
    for at, kind in enumerate(kinds[:-1]):
        if kind == mark and (kinds[at + 1] in _QUERY or kinds[at + 1] == "L_PAREN"):
            return at + 1
    return None


def _name_after(tokens: Sequence[Any], words: list[str], marks: set[str], skipped: set[str]) -> list[str]:
    at = next((at for at, word in enumerate(words) if word in marks), len(words)) + 1
    while at < len(words) and words[at] in skipped:
        at += 1
    parts: list[str] = []
    while at < len(words) and words[at].isprintable():
        parts.append(str(tokens[at].text))
        if at + 1 >= len(words) or tokens[at + 1].token_type.name != "DOT":
            break
        at += 2
    return parts


class _Tables:
    """The tables of a query, each with the id of its node, and what has to change in the text."""

    def __init__(self, tree: Any, catalog: str) -> None:
        from lifecycle.spec.sqltree import Walk, exp

        walk = Walk()
        walk.through(tree)
        self.parameters = tuple(walk.parameters)
        self.notes: list[str] = []
        self.nodes: dict[str, str] = {}
        self.cuts: list[_Cut] = []
        ctes = {str(one.alias).lower() for one in tree.find_all(exp.CTE)}
        aliases = {str(one.alias).lower() for one in tree.find_all(exp.Table) if one.alias}
        for table in tree.find_all(exp.Table):
            parts = [part for part in table.parts if isinstance(part, exp.Identifier)]
            is_cte = len(parts) == 1 and table.name.lower() in ctes
            if is_cte or len(parts) != len(table.parts) or table.find_ancestor(exp.Hint):
                continue
            self._add(table, parts, catalog, ctes | aliases)
        for column in tree.find_all(exp.Column):
            parts = column.parts
            if len(parts) > 2 and self._names_a_table(parts[:-1], catalog):
                self._cut(parts[0], parts[-3], "", through=parts[-2])

    def _add(self, table: Any, parts: list[Any], catalog: str, taken: set[str]) -> None:
        named = _table([part.name for part in parts], catalog)
        if "." not in named:
            self.notes.append(f"default.{named}: name the namespace of this table")
            named = f"default.{named}"
        node = self.nodes.get(named)
        if node is None:
            node = free_name(
                slug(parts[-1].name) or "table", {*self.nodes.values(), *(taken - {parts[-1].name.lower()})}
            )
            self.nodes[named] = node
        renamed = node != parts[-1].name.lower()
        # Columns may be qualified with the table's own name.
        alias = f" AS {parts[-1].sql('spark')}" if renamed and not table.alias else ""
        self._cut(parts[0], parts[-1], f"{node}{alias}")

    def _names_a_table(self, parts: Sequence[Any], catalog: str) -> bool:
        return _table([part.name for part in parts], catalog).lower() in {one.lower() for one in self.nodes}

    def _cut(self, first: Any, last: Any, text: str, through: Any = None) -> None:
        """Replaces from `first` to `last`; with `through`, all that is before it."""
        start = first.meta.get("start")
        end = through.meta.get("start") if through is not None else last.meta.get("end", -2) + 1
        if isinstance(start, int) and isinstance(end, int) and end > start:
            self.cuts.append(_Cut(start, end, text))


def _replaced(text: str, cuts: Sequence[_Cut]) -> str:
    for one in sorted({(cut.start, cut.end, cut.text) for cut in cuts}, reverse=True):
        text = text[: one[0]] + one[2] + text[one[1] :]
    return text


def _table(parts: Sequence[str], catalog: str) -> str:
    """A name without its catalog, where it is the one that pipelines write to."""
    named = parts[1:] if len(parts) > 2 and parts[0].lower() in (catalog.lower(), "spark_catalog") else parts
    return ".".join(named)


def _wrapped(query: str) -> bool:
    """Whether the first bracket is closed by the last character."""
    depth = 0
    for at, character in enumerate(query):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return at == len(query) - 1
    return False


def _unnamed(tree: Any) -> Iterator[str]:
    from lifecycle.spec.sqltree import exp

    select = tree.find(exp.Select)
    for number, one in enumerate(select.expressions if select is not None else (), 1):
        if not one.output_name and not one.is_star:
            yield f"column {number} of the result has no name: write … AS name"


def _of_parameters(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name in _GIVEN:
            yield f":{name} needs partitions: declare them"
        else:
            yield f"parameter {name}: set its type and default"


def _no(message: str, remedy: str | None) -> SpecError:
    return SpecError([Problem(None, "sql", message, remedy)])
