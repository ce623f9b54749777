"""Which modules Python source imports: read, never run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

# Functions of importlib, importlib.resources, pkgutil and runpy whose first argument names a module or package.
NAMING = frozenset({
    "import_module", "__import__", "find_spec", "resolve_name", "run_module", "get_data", "files", "path", "contents",
    "is_resource", "read_text", "read_binary", "open_text", "open_binary",
})  # fmt: skip
_IMPORTING = frozenset({"import_module", "__import__"})
_WORKED_OUT = _IMPORTING | {"resolve_name", "run_module"}
# The names that such functions have for that argument.
NAMED = frozenset({"name", "package", "anchor", "mod_name"})
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z")


@dataclass(frozen=True)
class Imports:
    """`names` are top-level names that are imported for certain; `perhaps` are texts in a source that also imports
    modules by a name that it works out (`unknown`)."""

    names: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()
    unknown: bool = False


def imports_of(source: str | bytes) -> Imports:
    """What a source imports, at whatever place. Source that does not compile imports nothing."""
    tree = parse(source)
    if tree is None:
        return Imports()
    names: set[str] = set()
    texts: set[str] = set()
    unknown = False
    naming = NAMING | _aliases(tree)
    called_here = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(_top(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if not node.level and node.module:
                names.add(_top(node.module))
        elif isinstance(node, ast.Call):
            called = called_name(node)
            if called in naming:
                found = set(_named(node))
                names |= found
                imports = called in _WORKED_OUT or called not in NAMING
                unknown = unknown or (imports and not found and not _is_relative(node))
        elif isinstance(node, (ast.Name, ast.Attribute)) and _last_name(node) in _IMPORTING:
            unknown = unknown or id(node) not in called_here  # given away: `map(import_module, names)`
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.match(node.value):
            texts.add(_top(node.value))
    return Imports(frozenset(names), frozenset(texts) if unknown else frozenset(), unknown)


def parse(source: str | bytes) -> ast.Module | None:
    """The syntax tree; None where the source does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubtful escape in somebody's text is theirs to judge
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def called_name(call: ast.Call) -> str:
    """The last name of what is called: `f` of `a.b.f(…)`."""
    return _last_name(call.func)


def _last_name(named: ast.expr) -> str:
    return named.attr if isinstance(named, ast.Attribute) else named.id if isinstance(named, ast.Name) else ""


def _aliases(tree: ast.Module) -> frozenset[str]:
    """Other names for a function that imports: `from importlib import import_module as load`, `load = …`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in {"importlib", "builtins"}:
            found.update(one.asname for one in node.names if one.asname and one.name in _IMPORTING)
        elif isinstance(node, ast.Assign) and _last_name(node.value) in _IMPORTING:
            found.update(name for name in map(_last_name, node.targets) if name)
    return frozenset(found)


def _named(call: ast.Call) -> Iterator[str]:
    """The top-level name in a call's first argument: a text, or one that begins with a whole name and a dot.

    Where it is relative, that of its package, which is imported before it.
    """
    argument = _package(call) if _is_relative(call) else _first(call)
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        module = argument.value.partition(":")[0]  # resolve_name("module:thing")
        if _DOTTED.match(module):
            yield _top(module)
            return
    if isinstance(argument, ast.JoinedStr) and argument.values:
        argument = argument.values[0]
    while isinstance(argument, ast.BinOp):
        argument = argument.left
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        top, dot, _ = argument.value.partition(".")
        if dot and _DOTTED.match(top):
            yield top


def _first(call: ast.Call) -> ast.expr | None:
    if call.args:
        return call.args[0]
    words = {word.arg: word.value for word in call.keywords}
    return words.get("name") or next((words[name] for name in sorted(NAMED) if name in words), None)


def _package(call: ast.Call) -> ast.expr | None:
    """The package of `import_module(".x", "package")`."""
    if len(call.args) > 1:
        return call.args[1]
    return next((word.value for word in call.keywords if word.arg == "package"), None)


def _is_relative(call: ast.Call) -> bool:
    """`import_module(".x", package=__package__)` stays in its own package, which is locked whole."""
    argument = _first(call)
    if isinstance(argument, ast.JoinedStr) and argument.values:
        argument = argument.values[0]
    return isinstance(argument, ast.Constant) and str(argument.value).startswith(".")


def _top(name: str) -> str:
    return name.partition(".")[0]
