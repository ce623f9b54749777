"""Write docs/reference from the code (settings, commands, REST, Python), and the list of decisions.

`--check` only compares.
"""

from __future__ import annotations

import sys
from pathlib import Path

from commands import commands
from decisions import decisions
from python import python
from rest import rest
from settings import settings
from tools import tools

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "reference/settings.md": settings,
    "reference/commands.md": commands,
    "reference/rest.md": rest,
    "reference/python.md": python,
    "reference/tools.md": tools,
    "adr/README.md": decisions,
}


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    old = []
    for name, make in PAGES.items():
        path = DOCS / name
        made = make().rstrip("\n") + "\n"
        if path.is_file() and path.read_text() == made:
            continue
        old.append(name)
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made)
    verb = "differs from the code" if check else "written"
    print("\n".join(f"docs/{name}: {verb}" for name in old) or "The reference fits the code")
    if old and check:
        sys.stderr.write("Run: make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
