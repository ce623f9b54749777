"""The marked cells of a notebook as a pipeline.

A cell marked `# drls: source`, `sql` or `ray` is a node with the name of the variable that it defines; marks `sink` and
`check` in the same cell say where its rows go and what must hold for them.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from lifecycle.spec.errors import Problem, SpecError, shorten
from lifecycle.spec.loading import check_definition
from lifecycle.spec.naming import free_name, slug
from lifecycle.spec.notebook_cells import KINDS, Cell, Mark, free_names, problem, read_cells
from lifecycle.spec.pipeline import PipelineSpec
from lifecycle.spec.sql import sql_tables

_FORMS = ("to_arrow", "to_pandas", "to_duckdb")
_PLATFORM = {"marimo": "a pipeline has no page", "drls_dagster": "a node reads the nodes above it and no tables"}
_NODE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_BUILTINS = frozenset(dir(builtins))


def pipeline_from_notebook(text: str, name: str) -> PipelineSpec:
    """The pipeline `name` of a notebook's marked cells, checked as a pipeline file is.

    Raises SpecError, which names the cell and its line, for what cannot become a node, and for what a pipeline file
    could not say either.
    """
    made = _Notebook(read_cells(text))
    definition = {"format_version": 1, "name": name, **made.fields(), **made.graph()}
    try:
        return check_definition(definition)
    except SpecError as error:
        raise SpecError(made.located(one) for one in error.problems) from None


class _Notebook:
    """`nodes` are the marked cells by the variable that each defines."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = cells
        self._imports = {name: statement for cell in cells for name, statement in cell.imports()}
        self._helpers = {name: cell for cell in cells if cell.is_definition for name in cell.defines()}
        self.nodes: dict[str, Cell] = {}
        for cell in cells:
            if cell.is_node:
                name = _node_of(cell)
                if name in self.nodes:
                    raise problem(cell, cell.line, f"{self.nodes[name]} defines {name!r} too", "rename one")
                self.nodes[name] = cell
        if not self.nodes:
            raise SpecError([Problem(None, None, "no cell is marked", "begin a cell with # drls: source, sql or ray")])
        self._where: dict[str, Cell] = dict(self.nodes)

    def fields(self) -> dict[str, Any]:
        """What the marks say of the pipeline itself."""
        found: dict[str, Any] = {}
        for cell in self._cells:
            for mark in _of_kind(cell, "pipeline"):
                for name in mark.fields.keys() & {"format_version", "name", "nodes", "edges", "lock", *found}:
                    raise problem(cell, mark.line, f"the mark cannot set {shorten(name)}", "remove it there")
                found.update(mark.fields)
        return found

    def graph(self) -> dict[str, Any]:
        """Nodes and edges."""
        nodes, edges = list[dict[str, Any]](), list[dict[str, str]]()
        for name, cell in self.nodes.items():
            mark = next(one for one in cell.marks if one.kind in KINDS)
            node, above = _MAKERS[mark.kind](self, name, cell, mark)
            nodes.append(node)
            edges += [{"from": one, "to": name} for one in above]
        for cell in self._cells:
            for extra, above in self._below(cell):
                nodes.append(extra)
                edges.append({"from": above, "to": extra["id"]})
        return {"nodes": nodes, **({"edges": edges} if edges else {})}

    def located(self, one: Problem) -> Problem:
        """A problem of the pipeline as one of the notebook."""
        cell = self._where.get(one.node or "")
        return one if cell is None else Problem(None, str(cell), str(one))

    def _below(self, cell: Cell) -> list[tuple[dict[str, Any], str]]:
        """Sinks and checks of a cell, each with the node that it is attached to."""
        sinks, checks = _of_kind(cell, "sink"), _of_kind(cell, "check")
        if not cell.is_node:
            for mark in (*sinks, *checks):
                raise problem(cell, mark.line, f"a {mark.kind} needs a node", f"mark the cell {_or(KINDS)} as well")
            return []
        name = next(one for one, owner in self.nodes.items() if owner is cell)
        found: list[tuple[dict[str, Any], str]] = []
        for mark in sinks:
            wanted = slug(str(mark.fields.get("table", "")).rpartition(".")[2]) or "sink"
            wanted = f"{wanted}_table" if wanted in self._where else wanted
            node = {"id": self._free(wanted, cell), "type": "sink", **_without(cell, mark)}
            found.append((node, name))
        if checks:
            above = found[0][0]["id"] if len(found) == 1 else name
            monitor = self._free(f"{above}_checks", cell)
            found.append(({"id": monitor, "type": "monitor", "checks": [dict(one.fields) for one in checks]}, above))
        return found

    def _free(self, wanted: str, cell: Cell) -> str:
        made = free_name(wanted, set(self._where))
        self._where[made] = cell
        return made

    def source(self, name: str, cell: Cell, mark: Mark) -> tuple[dict[str, Any], Sequence[str]]:
        """A table that `drls.read` names, or, where the mark names a kind, whatever the cell has in its place."""
        fields = _without(cell, mark)
        if "kind" not in fields:
            _without(cell, mark, "table")
            fields = {"kind": "iceberg", "table": self._table(cell, _value(cell, mark)), **fields}
        return {"id": name, "type": "source", "source": fields}, ()

    def _table(self, cell: Cell, value: ast.expr) -> str:
        called = value
        if (
            isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)
            and value.func.attr in _FORMS and not value.args and not value.keywords
        ):  # fmt: skip
            called = value.func.value
        if not (isinstance(called, ast.Call) and self._is_of(called.func, "drls_dagster", "read")):
            raise problem(
                cell, value.lineno, "a source cell is one assignment of drls.read(…)",
                f"write name = drls.read(\"namespace.table\"), with {_or(_FORMS)} where you need it",
            )  # fmt: skip
        if len(called.args) != 1 or not (
            isinstance(called.args[0], ast.Constant) and isinstance(called.args[0].value, str)
        ):
            raise problem(cell, value.lineno, "drls.read has no plain name of a table here", "write the name in quotes")
        for one in called.keywords:
            is_own = isinstance(one.value, ast.Constant) and one.value.value == "development"
            if one.arg == "env" and is_own:
                continue
            if one.arg == "env":
                raise problem(
                    cell, value.lineno, "a notebook's pipeline reads the tables of the environment that it runs in",
                    "remove env=…",
                )  # fmt: skip
            remedy = "remove it, and choose columns in a sql cell; a fixed point is # drls: source {read: as_of, …}"
            raise problem(cell, value.lineno, f"{one.arg}=… of drls.read is not kept", remedy)
        return str(called.args[0].value)

    def sql(self, name: str, cell: Cell, mark: Mark) -> tuple[dict[str, Any], Sequence[str]]:
        """`mo.sql(f\"\"\"…\"\"\")`, where the tables are variables of other marked cells."""
        value = _value(cell, mark)
        if not (isinstance(value, ast.Call) and self._is_of(value.func, "marimo", "sql") and value.args):
            raise problem(cell, value.lineno, "a sql cell is one assignment of mo.sql(…)", 'write name = mo.sql("…")')
        for one in value.keywords:
            if one.arg != "output":
                raise problem(cell, value.lineno, f"{one.arg}=… of mo.sql is not kept", "remove it")
        text = _text(value.args[0])
        if text is None:
            raise problem(
                cell, value.args[0].lineno, "the SQL has a placeholder, whose value is not part of the pipeline",
                "write the value, or a :parameter that # drls: pipeline {parameters: …} declares",
            )  # fmt: skip
        text = textwrap.dedent(text).strip()
        try:
            tables = sql_tables(text)
        except SpecError as error:
            one = error.problems[0]
            raise problem(cell, value.lineno, one.message, one.remedy) from None
        by_lower = {node.lower(): node for node in self.nodes}
        above = [by_lower[one] if one in by_lower else self._unknown(cell, value.lineno, one) for one in tables]
        return {"id": name, "type": "transform", "step": "spark", **_without(cell, mark, "sql"), "sql": text}, above

    def ray(self, name: str, cell: Cell, mark: Mark) -> tuple[dict[str, Any], Sequence[str]]:
        """A cell of Python: a function from the rows of one node to its own, both as pyarrow.Table."""
        if cell.is_async or any(isinstance(one, ast.Await | ast.Yield | ast.YieldFrom) for one in _inside(cell)):
            raise problem(cell, cell.line, "a node does not await or yield", "write it without")
        body = cell.source()
        indent = " " * (len(body) - len(body.lstrip(" "))) or "    "
        above: list[str] = []
        around: dict[str, ast.stmt] = {}
        self._around(cell, f"def process():\n{body}\n{indent}return {name}\n", around, above)
        if len(above) != 1:
            remedy = "join them in a sql cell first" if above else "use the variable of a marked cell"
            raise problem(cell, cell.line, f"a ray cell reads one node, not {len(above)}", remedy)
        parts = [*_texts(around), f"def process({above[0]}):\n{body}\n{indent}return {name}\n"]
        return {
            "id": name, "type": "transform", "step": "rayProcess", **_without(cell, mark, "python", "entrypoint"),
            "python": "\n\n".join(parts),
        }, above  # fmt: skip

    def _around(self, cell: Cell, text: str, found: dict[str, ast.stmt], above: list[str] | None) -> None:
        """Adds to `found` the imports and functions of other cells that the text of a cell uses, and to `above` the
        nodes that it reads. `above` None: it may read none.
        """
        for one in _inside(cell):
            if isinstance(one, ast.Import | ast.ImportFrom):
                _refuse_platform(cell, one)
        try:
            names = free_names(text)
        except SyntaxError:
            raise problem(cell, cell.line, "it cannot be read as a function", "open and save it in marimo") from None
        for one in sorted(names - _BUILTINS - found.keys()):
            if above is not None and one in self.nodes:
                above.append(one)
            elif one in self._imports:
                _refuse_platform(cell, self._imports[one], one)
                found[one] = self._imports[one]
            elif one in self._helpers:
                helper = self._helpers[one]
                found[one] = helper.body[0]
                self._around(helper, ast.unparse(helper.body[0]), found, None)
                # What it needs comes first: it may be in a default value.
                found[one] = found.pop(one)
            else:
                self._unknown(cell, cell.line, one)

    def _unknown(self, cell: Cell, line: int, name: str) -> str:
        owner = next((one for one in self._cells if name.lower() in map(str.lower, one.defines())), None)
        if owner is None:
            raise problem(cell, line, f"it uses {name!r}, which no cell defines", "define it in a marked cell")
        raise problem(
            cell,
            line,
            f"it uses {name!r} of {owner}, which is no node",
            "mark that cell, or move its code into this one",
        )

    def _is_of(self, called: ast.expr, module: str, function: str) -> bool:
        """Whether an expression is this function of a module, as the notebook's imports name it."""
        name = called.value if isinstance(called, ast.Attribute) else called
        statement = self._imports.get(name.id) if isinstance(name, ast.Name) else None
        if isinstance(statement, ast.ImportFrom):
            return name is called and (statement.module, statement.names[0].name) == (module, function)
        return (
            isinstance(statement, ast.Import) and statement.names[0].name == module
            and isinstance(called, ast.Attribute) and called.attr == function
        )  # fmt: skip


_MAKERS = {"source": _Notebook.source, "sql": _Notebook.sql, "ray": _Notebook.ray}


def _node_of(cell: Cell) -> str:
    marks = [one for one in cell.marks if one.kind in KINDS]
    if len(marks) > 1:
        raise problem(cell, marks[1].line, "a cell is one node", f"keep one of {_or([one.kind for one in marks])}")
    names = cell.defines()
    if len(names) != 1:
        said = f"defines {', '.join(names)}" if names else "defines no variable"
        raise problem(cell, cell.line, f"a node is one variable, but this cell {said}", "begin other names with _")
    if not _NODE.fullmatch(names[0]):
        raise problem(
            cell, cell.line, f"the variable {names[0]!r} names no node", "use lower-case letters, digits and _"
        )
    return names[0]


def _value(cell: Cell, mark: Mark) -> ast.expr:
    """What the cell's one statement assigns."""
    kept = [one for one in cell.body if not isinstance(one, ast.Return)]
    if len(kept) != 1 or not isinstance(kept[0], ast.Assign) or len(kept[0].targets) != 1:
        raise problem(cell, cell.line, f"a {mark.kind} cell is one assignment", "move everything else to other cells")
    return kept[0].value


def _text(value: ast.expr) -> str | None:
    """A text, or an f-string that has no placeholder; None for everything else."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        parts = [_text(one) for one in value.values]
        return None if None in parts else "".join(part or "" for part in parts)
    return None


def _without(cell: Cell, mark: Mark, *own: str) -> dict[str, Any]:
    """The fields of a mark. Raises SpecError for those that are not the mark's to say."""
    for name in mark.fields.keys() & {"id", "type", "step", *own}:
        raise problem(cell, mark.line, f"the mark cannot set {name}", "remove it there: the cell says it")
    return dict(mark.fields)


def _refuse_platform(cell: Cell, statement: ast.Import | ast.ImportFrom, name: str = "") -> None:
    """Raises SpecError for what a node does not have, and for an import that leads nowhere there."""
    if isinstance(statement, ast.ImportFrom) and statement.level:
        raise problem(cell, cell.line, "a relative import leads nowhere in a pipeline", "name the module in full")
    tops = [one.name for one in statement.names] if isinstance(statement, ast.Import) else [statement.module or ""]
    for top in (one.partition(".")[0] for one in tops):
        if top in _PLATFORM:
            said = f"{name} ({top})" if name and name != top else top
            remedy = "read tables in cells marked # drls: source, and show things in cells without a mark"
            raise problem(cell, cell.line, f"it uses {said}, but {_PLATFORM[top]}", remedy)


def _texts(around: Mapping[str, ast.stmt]) -> list[str]:
    """Imports, then functions, as text without their comments."""
    imports = [ast.unparse(one) for one in around.values() if isinstance(one, ast.Import | ast.ImportFrom)]
    others = [one for one in around.values() if not isinstance(one, ast.Import | ast.ImportFrom)]
    return [*(["\n".join(imports) + "\n"] if imports else []), *(ast.unparse(one) + "\n" for one in others)]


def _of_kind(cell: Cell, kind: str) -> list[Mark]:
    return [mark for mark in cell.marks if mark.kind == kind]


def _inside(cell: Cell) -> Sequence[ast.AST]:
    return [inner for one in cell.body for inner in ast.walk(one)]


def _or(words: Sequence[str] | Mapping[str, Any]) -> str:
    first = list(words)
    return first[0] if len(first) == 1 else f"{', '.join(first[:-1])} or {first[-1]}"
