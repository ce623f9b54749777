"""Draw the layers of each package into docs/design.md, from import-linter's contracts and the modules' own first lines.

`--check` writes nothing and fails where the page shows something else.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- layers: written by scripts/draw_layers.py -->", "<!-- layers: end -->"
_WIDTH = 20


def drawing(root: Path = ROOT) -> str:
    """One block for each package with layers, high to low: a module imports only modules with a higher number."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    blocks: list[str] = []
    for contract in contracts:
        for package in contract.get("containers", []):
            lines = [f"{package.replace('.', '/')}/"]
            for number, layer in enumerate(contract["layers"], start=1):
                for at, name in enumerate(layer.replace("(", "").replace(")", "").split(" | ")):
                    path, shown = _find(root, package, name)
                    lines.append(f"{number if at == 0 else '':>4}  {shown:<{_WIDTH}}  {_first_line(path)}")
            blocks.append("\n".join(lines))
    return "```\n" + "\n\n".join(blocks) + "\n```"


def _find(root: Path, package: str, name: str) -> tuple[Path, str]:
    folder = root.joinpath(*package.split("."))
    if (folder / name).is_dir():
        return folder / name / "__init__.py", f"{name}/"
    return folder / f"{name}.py", f"{name}.py"


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.split("\n", 1)[0].rstrip(".")


def written(page: str, drawn: str) -> str:
    """The page with the drawing between its marks. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for the layers: {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{drawn}\n{END}{after}"


def main() -> int:
    page = PAGE.read_text()
    new = written(page, drawing())
    if "--check" in sys.argv[1:]:
        if new != page:
            print(f"{PAGE.relative_to(ROOT)} does not show the layers as they are: run {sys.argv[0]}", file=sys.stderr)
            return 1
        print("docs/design.md shows the layers as they are")
        return 0
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
