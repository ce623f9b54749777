"""Write docs/reference from the code: settings, commands, REST and the Python API. `--check` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from commands import commands
from python import python
from rest import rest
from settings import settings

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGES = {"settings.md": settings, "commands.md": commands, "rest.md": rest, "python.md": python}


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    old = []
    for name, make in PAGES.items():
        path = FOLDER / name
        made = make().rstrip("\n") + "\n"
        if path.is_file() and path.read_text() == made:
            continue
        old.append(name)
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made)
    verb = "differs from the code" if check else "written"
    print("\n".join(f"docs/reference/{name}: {verb}" for name in old) or "docs/reference fits the code")
    if old and check:
        sys.stderr.write("Run: make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
