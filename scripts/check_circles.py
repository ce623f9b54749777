"""Fail when modules of this repository import each other in a circle; imports inside functions count.

Imports for type checkers alone (`if TYPE_CHECKING:`) never run and are left out.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

PACKAGES = ("lifecycle", "drls_dagster", "agent", "benchmarks")


def modules(root: Path) -> dict[str, Path]:
    """Every module of the packages, by its dotted name."""
    found: dict[str, Path] = {}
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, module: str) -> Iterator[str]:
    """The dotted names that a module imports, at its top and inside functions."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{start}.{alias.name}" for alias in node.names)
        todo.extend(ast.iter_child_nodes(node))


def graph(root: Path) -> dict[str, set[str]]:
    """By module, the modules of this repository that it imports."""
    known = modules(root)
    arrows: dict[str, set[str]] = {}
    for module, path in known.items():
        targets = {_module(name, known) for name in imports(path, module)}
        arrows[module] = {target for target in targets if target and target != module}
    return arrows


def _module(name: str, known: Mapping[str, Path]) -> str:
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """The modules of one circle in the order of their imports, none where there is no circle."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def main() -> int:
    root = Path(__file__).parent.parent
    arrows = graph(root)
    found = circle(arrows)
    if found:
        print(f"circle of imports: {' -> '.join(found)}", file=sys.stderr)
        return 1
    print(f"0 circles in {len(arrows)} modules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
