"""SQL to a syntax tree, and what the tree reads. It imports the parser: import it only where it is used.

Where the parser and Spark's own could disagree on what is code and what is text, the SQL is refused: lineage
and branches rest on this reading.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

from lifecycle.spec.errors import shorten
from lifecycle.spec.sql_words import sql_words

with warnings.catch_warnings():
    # A companion package of the parser, which other libraries install, warns on import that it is obsolete.
    warnings.simplefilter("ignore", DeprecationWarning)
    from sqlglot import Dialect, exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage  # pyright: ignore[reportUnknownVariableType]
    from sqlglot.optimizer.annotate_types import annotate_types
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

__all__ = [
    "UNREADABLE", "SqlReadError", "Walk", "annotate_types", "build_scope", "exp", "lineage", "parse_query", "qualify",
    "tokens_of",
]  # fmt: skip

MAX_SQL = 100_000
_MAX_BRACKETS = 60
_MAX_TRIED = 8
_MAX_TYPES = 12
_MAX_QUALIFIED = 50
_OPENING = frozenset({"L_PAREN", "L_BRACKET", "CASE"})
_CLOSING = frozenset({"R_PAREN", "R_BRACKET", "END"})

_GENERATORS = frozenset(
    [
        "range",
        "explode",
        "explode_outer",
        "posexplode",
        "posexplode_outer",
        "inline",
        "inline_outer",
        "stack",
        "json_tuple",
        "parse_url_tuple",
        "variant_explode",
        "variant_explode_outer",
        "sequence",
        "flatten",
    ]
)
_RUNS_CODE = frozenset({"reflect", "java_method", "try_reflect", "identifier"})
# Of approx_count_distinct: 2 MB for each group at the least, and what Spark accepts at most.
_LEAST_DEVIATION, _MOST_DEVIATION = 0.001, 0.39
_ICEBERG_FUNCTIONS = frozenset({"bucket", "truncate", "years", "months", "days", "hours"})
_STARTS = frozenset({"SELECT", "WITH", "FROM", "VALUES", "L_PAREN"})
_SUBSTITUTION = re.compile(r"\$\{")
_TEMPLATE = re.compile(r"\{\{|\{%")
_CONTINUED_COMMENT = re.compile(r"--[^\n]*\\\r?\n")

# Seen to be parsed otherwise than Spark does: tables were missed.
_UNSURE = {
    "TABLE": ("the SQL uses the keyword TABLE", "write SELECT * FROM name; quote a column called `table`"),
    "PIPE_GT": ("the SQL uses the pipe operator |>", "write it as SELECT with subqueries or WITH"),
}
ONE_SELECT = "a transform is one SELECT; write tables with a sink"


class SqlReadError(Exception):
    def __init__(self, message: str, remedy: str | None) -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message)


# The parser and its optimizer are written for SQL they know; what they cannot follow ends in any of these.
_LOST = (ValueError, KeyError, AttributeError, TypeError, IndexError, AssertionError)
UNREADABLE = (SqlReadError, SqlglotError, RecursionError, *_LOST)


def tokens_of(sql: str) -> list[Any]:
    """The tokens of a text that `parse_query` accepts, with the places of their first and last character."""
    return Dialect.get_or_raise("spark").tokenize(sql)


def parse_query(sql: str) -> exp.Expr:
    """The syntax tree of one query; raises if it is anything else."""
    _refuse_ambiguous_text(sql)
    dialect = Dialect.get_or_raise("spark")
    try:
        tokens = dialect.tokenize(sql)
        _refuse_wrong_tokens(tokens)
        trees = [tree for tree in dialect.parser().parse(tokens, sql) if tree is not None]
    except SqlglotError as error:
        what, remedy = sql_words(sql, error)
        raise SqlReadError(f"the SQL does not parse: {what}", remedy) from None
    except RecursionError:
        raise SqlReadError("the SQL is nested too deeply", "split it into several transforms") from None
    except _LOST:
        raise SqlReadError("the SQL does not parse", "check it with a SQL editor for Spark") from None
    return _one_query(trees)


def _refuse_ambiguous_text(sql: str) -> None:
    if len(sql) > MAX_SQL:
        raise SqlReadError(f"the SQL is longer than {MAX_SQL} characters", "split it into several transforms")
    if _SUBSTITUTION.search(sql):
        raise SqlReadError(
            "the SQL has '${…}', which Spark replaces by settings", "declare a parameter and write :name"
        )
    if _TEMPLATE.search(sql):
        raise SqlReadError("the SQL has a template ('{{' or '{%')", "declare a parameter and write :name")
    if _CONTINUED_COMMENT.search(sql):
        raise SqlReadError(
            "a comment ends in a backslash, which makes the next line a comment too", "remove the backslash"
        )


def _refuse_wrong_tokens(tokens: list[Any]) -> None:
    kinds: list[str] = [token.token_type.name for token in tokens]
    while kinds and kinds[-1] == "SEMICOLON":
        kinds.pop()
        tokens.pop()
    if not kinds:
        raise SqlReadError("the SQL is empty", "write one SELECT")
    if "SEMICOLON" in kinds:
        raise SqlReadError("the SQL has several statements", ONE_SELECT)
    first = next((at for at, kind in enumerate(kinds) if kind != "L_PAREN"), 0)
    if kinds[first] not in _STARTS:
        word = shorten(tokens[first].text.upper(), 20)
        raise SqlReadError(f"the SQL begins with {word} and is not a query", ONE_SELECT)
    for word, (message, remedy) in _UNSURE.items():
        if word in kinds:
            raise SqlReadError(message, remedy)
    if any(token.text.lower() == "stream" and token.token_type.name == "VAR" for token in tokens):
        raise SqlReadError("the SQL uses the keyword STREAM", "use step: sparkStream; quote a column called `stream`")
    if "RECURSIVE" in kinds and kinds.count("WITH") > 1:
        raise SqlReadError("WITH RECURSIVE is next to another WITH", "write one WITH clause")
    if not _readable(kinds):
        raise SqlReadError("the SQL is nested too deeply", "split it into several transforms")


def _readable(kinds: list[str]) -> bool:
    """Whether parsing ends soon.

    The parser tries both readings of a bracket next to the name of a type and of a JOIN without ON, so its
    time doubles with each one inside another. It reads a type again at each level of `array<array<…>>`, and
    copies everything before it at each call in `a.f(1).g(2)`.
    """
    brackets: list[bool] = []
    joins = types = qualified = 0
    for at, kind in enumerate(kinds):
        if kind in _OPENING:
            beside = kinds[at - 1 : at] + kinds[at + 1 : at + 2]
            brackets.append(any(word in _type_words() for word in beside))
        elif kind in _CLOSING and brackets:
            brackets.pop()
        elif kind == "JOIN" and not {"CROSS", "NATURAL"} & set(kinds[max(at - 3, 0) : at]):
            joins += 1
        elif kind in {"ON", "USING"}:
            joins = max(joins - 1, 0)
        elif kind == "LT" and at and kinds[at - 1] in _type_words():
            types += 1
        elif kind == "GT":
            types = max(types - 1, 0)
        elif kind == "DOT" and kinds[at + 2 : at + 3] == ["L_PAREN"]:
            qualified += 1
        if types > _MAX_TYPES or qualified > _MAX_QUALIFIED:
            return False
        if len(brackets) > _MAX_BRACKETS or joins > _MAX_TRIED or sum(brackets) > _MAX_TRIED:
            return False
    return True


@lru_cache(maxsize=1)
def _type_words() -> frozenset[str]:
    return frozenset(kind.name for kind in Dialect.get_or_raise("spark").parser_class.TYPE_TOKENS)


def _one_query(trees: list[Any]) -> exp.Expr:
    if len(trees) != 1:
        raise SqlReadError("the SQL has several statements", ONE_SELECT)
    tree = trees[0]
    writes = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Command, exp.Into)
    writing = next(tree.find_all(*writes), None)
    if writing is not None or not isinstance(tree, exp.Query | exp.Values):
        raise SqlReadError(f"the SQL is not a query but {shorten((writing or tree).key.upper(), 20)}", ONE_SELECT)
    return tree


class Walk:
    """Goes through a query once, with the CTE names that are visible at each place."""

    def __init__(self) -> None:
        self.tables: dict[str, None] = {}
        self.parameters: dict[str, None] = {}
        self.problems: dict[tuple[str, str | None], None] = {}

    def through(self, tree: exp.Expr) -> None:
        todo: list[tuple[exp.Expr, frozenset[str]]] = [(tree, frozenset())]
        while todo:
            node, ctes = todo.pop()
            # A hint names tables to give advice about them; it reads none.
            if isinstance(node, exp.Hint):
                continue
            inner = ctes
            children: list[tuple[exp.Expr, frozenset[str]]] = []
            for child in _children(node):
                if isinstance(child, exp.With):
                    inner = self._with(child, ctes, children)
            children += [(child, inner) for child in _children(node) if not isinstance(child, exp.With)]
            self._look(node, ctes)
            todo.extend(reversed(children))

    def _with(
        self, clause: exp.With, outer: frozenset[str], children: list[tuple[exp.Expr, frozenset[str]]]
    ) -> frozenset[str]:
        """Each CTE sees those before it, and itself only if the clause is recursive."""
        visible = outer
        for cte in clause.expressions:
            name = str(cte.alias).lower()
            children.append((cte, visible | {name} if clause.args.get("recursive") else visible))
            visible |= {name}
        return visible

    def _look(self, node: exp.Expr, ctes: frozenset[str]) -> None:
        if isinstance(node, exp.Table):
            self._table(node, ctes)
        elif isinstance(node, exp.Lateral) and isinstance(node.this, exp.Func):
            self._generator(node.this)
        elif isinstance(node, exp.Placeholder):
            self._placeholder(node)
        elif isinstance(node, exp.Select) and not node.expressions:
            self._wrong("a SELECT names no columns", "write SELECT * FROM … or name them")
        elif isinstance(node, exp.Parameter | exp.SessionParameter):
            self._wrong(
                f"'{shorten(node.sql('spark'), 30)}' is a variable of the session",
                "declare a parameter and write :name",
            )
        elif isinstance(node, exp.QueryTransform):
            self._wrong("TRANSFORM … USING runs a program", "use a custom or rayProcess step")
        elif isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
            self._qualified_function(node)
        elif isinstance(node, exp.ApproxDistinct):
            self._approximate(node)
        elif isinstance(node, exp.Func) and _name(node) in _RUNS_CODE:
            self._wrong(f"{_name(node)}() may run or read anything", "use a Python step for what SQL cannot do")
        elif isinstance(node, exp.Func) and _name(node) == "input_file_name":
            self._wrong(
                "input_file_name() returns paths of the server",
                "use a column of the files, or put them into folders such as file_group=a/, which add a column",
            )

    def _table(self, table: exp.Table, ctes: frozenset[str]) -> None:
        if table.args.get("version") or table.args.get("when"):
            self._wrong(
                f"'{shorten(table.name)}' is read AS OF another time",
                "write read: as_of in the iceberg source",
            )
        if isinstance(table.this, exp.Func):
            self._generator(table.this)
        elif not isinstance(table.this, exp.Identifier):
            self._wrong(f"'{shorten(table.sql('spark'), 40)}' is not the name of a table", "name an upstream node")
        elif len(table.parts) > 1:
            self.tables[".".join(part.sql("spark") for part in table.parts)] = None
        elif table.name.lower() not in ctes:
            self.tables[table.name.lower()] = None

    def _generator(self, function: exp.Func) -> None:
        name = _name(function)
        if name not in _GENERATORS:
            self._wrong(
                f"the table function {shorten(name, 40)}() may read files or run code",
                "read data with a source node",
            )

    def _placeholder(self, node: exp.Placeholder) -> None:
        if isinstance(node.this, str) and node.this and not node.args.get("widget"):
            self.parameters[node.this] = None
        else:
            self._wrong("the SQL has a parameter without a name", "declare a parameter and write :name")

    def _qualified_function(self, node: exp.Dot) -> None:
        namespace = node.this.sql("spark").lower().replace("`", "").split(".")[-1]
        if namespace != "system" or _name(node.expression) not in _ICEBERG_FUNCTIONS:
            self._wrong(
                f"{shorten(node.sql('spark'), 40)} is a function of a catalog and may read anything",
                "write it in SQL",
            )

    def _approximate(self, node: exp.ApproxDistinct) -> None:
        """Spark reserves memory by the deviation, whatever it is; with 0 it writes behind it, and the engine ends."""
        inside = node.this.expressions[1:] if isinstance(node.this, exp.Distinct) else []
        for given in (node.args.get("accuracy"), *inside):
            if given is not None and not _is_deviation(given):
                self._wrong(
                    "the second value of approx_count_distinct() is the deviation that is accepted",
                    f"write a number from {_LEAST_DEVIATION} to {_MOST_DEVIATION}, or leave it out for 0.05",
                )

    def _wrong(self, message: str, remedy: str) -> None:
        self.problems[message, remedy] = None


def _children(node: exp.Expr) -> Iterator[exp.Expr]:
    for value in node.args.values():
        several = cast("list[Any]", value if isinstance(value, list) else [value])
        yield from (child for child in several if isinstance(child, exp.Expr))


def _is_deviation(given: exp.Expr) -> bool:
    """Whether it is a number within the bounds; `0.1D` is parsed as a cast."""
    number = given.this if isinstance(given, exp.Cast) and given.to.this.name in ("DOUBLE", "FLOAT") else given
    if not isinstance(number, exp.Literal) or number.is_string:
        return False
    return _LEAST_DEVIATION <= float(number.name) <= _MOST_DEVIATION


def _name(function: exp.Expr) -> str:
    named = function.name if isinstance(function, exp.Anonymous) else getattr(function, "sql_name", lambda: "")()
    return str(named).lower()
