"""The cells of a marimo notebook, with their marks and what each defines. Reads the text; nothing of it is executed."""

from __future__ import annotations

import ast
import io
import re
import symtable
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifecycle.spec.errors import Problem, SpecError, shorten
from lifecycle.spec.reading import read_value

MAX_NOTEBOOK = 1_000_000
KINDS = ("source", "sql", "ray")
MARKS = (*KINDS, "sink", "check", "pipeline")
_MARK = re.compile(r"#\s*drls:\s*(.*)", re.DOTALL)
# A comment that begins like this continues the mark above it.
_MORE = re.compile(r"#(?:  +|\t)(.*)")
_CELL, _DEFINITIONS = "cell", ("function", "class_definition")


@dataclass(frozen=True)
class Mark:
    """`# drls: KIND {fields}` in a cell."""

    kind: str
    fields: Mapping[str, Any]
    line: int


@dataclass
class Cell:
    """`lines` are those of its text, the first has the number `line`; `body` is what it executes."""

    number: int
    name: str
    line: int
    body: Sequence[ast.stmt]
    lines: Sequence[str]
    is_definition: bool = False
    is_async: bool = False
    marks: list[Mark] = field(default_factory=list[Mark])

    def __str__(self) -> str:
        return f"cell {self.number}{f' {self.name!r}' if self.name else ''} (line {self.line})"

    @property
    def is_node(self) -> bool:
        return any(mark.kind in KINDS for mark in self.marks)

    def imports(self) -> Iterator[tuple[str, ast.Import | ast.ImportFrom]]:
        """What it imports for other cells: each name with the statement that imports it alone."""
        for one in self.body:
            if isinstance(one, ast.Import):
                for alias in one.names:
                    yield alias.asname or alias.name.partition(".")[0], ast.Import([alias])
            elif isinstance(one, ast.ImportFrom):
                for alias in one.names:
                    yield alias.asname or alias.name, ast.ImportFrom(one.module, [alias], one.level)

    def defines(self) -> tuple[str, ...]:
        """The names that other cells can use, without those that it imports."""
        found = dict.fromkeys(name for one in self.body for name in _bound(one))
        imported = {name for name, _ in self.imports()}
        return tuple(name for name in found if not name.startswith("_") and name not in imported)

    def source(self) -> str:
        """The text of the body without the marks, as it is indented, and without marimo's own return."""
        kept = [one for one in self.body if not isinstance(one, ast.Return)]
        if not kept:
            return ""
        marks = {mark.line for mark in self.marks}
        first, last = _first_line(kept[0]) - self.line, (kept[-1].end_lineno or 0) - self.line
        wanted = self.lines[first : last + 1]
        return "\n".join(text for at, text in enumerate(wanted, self.line + first) if at not in marks)


def problem(cell: Cell | None, line: int, message: str, remedy: str | None = None) -> SpecError:
    """An error that names the cell, or else the line."""
    if cell is None:
        where = f"line {line}"
    else:
        where = str(cell) if line == cell.line else f"{str(cell)[:-1]}, here line {line})"
    return SpecError([Problem(None, where, message, remedy)])


def read_cells(text: str) -> list[Cell]:
    """The cells in their order. Raises SpecError for a text that is no notebook, and for a mark that cannot be read."""
    if len(text) > MAX_NOTEBOOK:
        raise _no(f"the notebook is longer than {MAX_NOTEBOOK:,} characters", "move data and helpers out of it")
    try:
        tree = ast.parse(text)
        comments = list(_comments(text))
    except SyntaxError as error:
        raise problem(None, error.lineno or 1, f"this is not Python: {shorten(error.msg)}", "give a notebook") from None
    except (RecursionError, MemoryError, ValueError, tokenize.TokenError):
        raise _no("the notebook cannot be read: it is nested too deeply, or not text", "give a notebook") from None
    app = _app(tree)
    if app is None:
        raise _no("this is no marimo notebook: it has no marimo.App()", "give the .py file of a notebook")
    lines = text.splitlines()
    cells = list(_cells(tree, app, lines))
    _add_marks(cells, comments)
    return cells


def free_names(text: str) -> set[str]:
    """The names that a text with one function or class at its top takes from around it. Raises SyntaxError."""
    top = symtable.symtable(text, "cell", "exec")
    own = {one.get_name() for one in top.get_symbols() if one.is_assigned() or one.is_imported()}
    return set(_globals(top)) - own


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    for one in table.get_symbols():
        if one.is_global() or (table.get_type() == "module" and one.is_referenced()):
            yield one.get_name()
    for inner in table.get_children():
        yield from _globals(inner)


def _app(tree: ast.Module) -> str | None:
    """The variable that has the app."""
    for one in tree.body:
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Call) and isinstance(one.targets[0], ast.Name):
            made = one.value.func
            if isinstance(made, ast.Attribute) and made.attr == "App" and isinstance(made.value, ast.Name):
                return one.targets[0].id
    return None


def _cells(tree: ast.Module, app: str, lines: Sequence[str]) -> Iterator[Cell]:
    number = 0
    for at, one in enumerate(tree.body):
        end = _first_line(tree.body[at + 1]) - 1 if at + 1 < len(tree.body) else len(lines)
        kind = _kind(one, app)
        if kind is None:
            continue
        number += 1
        start = _first_line(one)
        name, body, is_definition = "", [], False
        if isinstance(one, ast.With):
            name, body = "setup", one.body
        elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            is_definition = kind in _DEFINITIONS
            name = "" if one.name == "_" else one.name
            if is_definition:
                one.decorator_list = [each for each in one.decorator_list if _word(each, app) is None]
            body = [one] if is_definition else one.body
        is_async = isinstance(one, ast.AsyncFunctionDef) and not is_definition
        yield Cell(number, name, start, body, lines[start - 1 : end], is_definition, is_async)


def _kind(one: ast.stmt, app: str) -> str | None:
    """Which of marimo's words makes a cell of a statement."""
    if isinstance(one, ast.With):
        found = [_word(item.context_expr, app) for item in one.items]
    elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        found = [_word(decorator, app) for decorator in one.decorator_list]
    elif isinstance(one, ast.Expr) and isinstance(one.value, ast.Call):
        found = [_word(one.value, app)]
        return "_unparsable_cell" if "_unparsable_cell" in found else None
    else:
        return None
    return next((word for word in found if word in (_CELL, "setup", *_DEFINITIONS)), None)


def _word(one: ast.expr, app: str) -> str | None:
    called = one.func if isinstance(one, ast.Call) else one
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == app:
        return called.attr
    return None


def _comments(text: str) -> Iterator[tuple[int, int, str]]:
    """Line, column and text of each comment that has its line for itself."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip():
            yield token.start[0], token.start[1], token.string


def _add_marks(cells: Sequence[Cell], comments: Sequence[tuple[int, int, str]]) -> None:
    at = 0
    while at < len(comments):
        line, column, comment = comments[at]
        at += 1
        found = _MARK.fullmatch(comment)
        if found is None:
            continue
        said, last = found[1], line
        while at < len(comments) and comments[at][0] == last + 1 and (more := _MORE.fullmatch(comments[at][2])):
            if _MARK.fullmatch(comments[at][2]):
                break
            said, last, at = f"{said} {more[1]}", last + 1, at + 1
        cell = next((one for one in cells if column and one.line <= line < one.line + len(one.lines)), None)
        if cell is None or cell.is_definition:
            raise problem(None, line, f"the mark '{shorten(comment)}' is in no cell", "write it at the top of a cell")
        mark = _mark(cell, line, said)
        # Its further lines are no part of the cell's code either; the mark itself stands for them.
        cell.marks += [mark, *(Mark("", {}, more) for more in range(line + 1, last + 1))]


def _mark(cell: Cell, line: int, said: str) -> Mark:
    kind, _, rest = said.strip().partition(" ")
    if kind not in MARKS:
        raise problem(cell, line, f"there is no mark 'drls: {shorten(kind)}'", f"write one of {', '.join(MARKS)}")
    if not rest.strip():
        return Mark(kind, {}, line)
    try:
        fields = read_value(rest)
    except SpecError as error:
        raise problem(cell, line, f"the fields of the mark: {error.problems[0].message}", "see below") from None
    if not isinstance(fields, dict):
        raise problem(cell, line, "the fields of a mark are a mapping", f"write # drls: {kind} {{name: value}}")
    return Mark(kind, fields, line)  # pyright: ignore[reportUnknownArgumentType]


def _bound(one: ast.stmt) -> Iterator[str]:
    """The names that a statement of a cell defines there."""
    if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield one.name
        return
    for inner in _own(one):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield inner.name


def _own(one: ast.AST) -> Iterator[ast.AST]:
    """What is in a statement, without what has names of its own: functions, lambdas and comprehensions."""
    yield one
    inner_names = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    for inner in ast.iter_child_nodes(one):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield inner
        elif not isinstance(inner, inner_names):
            yield from _own(inner)


def _first_line(one: ast.stmt) -> int:
    if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and one.decorator_list:
        return min(one.lineno, *(decorator.lineno for decorator in one.decorator_list))
    return one.lineno


def _no(message: str, remedy: str | None) -> SpecError:
    return SpecError([Problem(None, None, message, remedy)])
