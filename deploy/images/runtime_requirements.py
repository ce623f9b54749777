"""Prints what of requirements.lock DRLS itself needs to run, with the hashes: no tools for development.

runtime_requirements.py PYPROJECT LOCK [EXTRA ...]. The comments that uv writes below each package say who wants it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)")
_ROOT = "drls-dagster (pyproject.toml)"


def blocks(lock: str) -> dict[str, tuple[str, set[str]]]:
    """By name: the lines of a package without comments, and who wants it. A package may come once per platform."""
    found: dict[str, tuple[str, set[str]]] = {}
    name = ""
    for line in lock.splitlines():
        comment = line.strip().removeprefix("#") if line.lstrip().startswith("#") else None
        if comment is not None:
            wants = comment.strip().removeprefix("via").strip()
            if name and wants:
                found[name][1].add(wants)
        elif line.strip():
            if start := _NAME.match(line):
                name = _canonical(start.group(1))
            text, wanted = found.get(name, ("", set()))
            found[name] = (f"{text}{line}\n", wanted)
    return found


def runtime(pyproject: str, lock: str, extras: Iterable[str]) -> str:
    """The lock of what `[project]` and these extras need. Raises KeyError for an extra that does not exist."""
    project = tomllib.loads(pyproject)["project"]
    asked = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    direct = {_canonical(match.group(1)) for one in asked if (match := _NAME.match(one))}
    packages = blocks(lock)
    taken = {name for name, (_, wants) in packages.items() if name in direct and _ROOT in wants}
    while more := {name for name, (_, wants) in packages.items() if name not in taken and wants & taken}:
        taken |= more
    return "".join(packages[name][0] for name in sorted(taken))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    print(runtime(Path(sys.argv[1]).read_text(), Path(sys.argv[2]).read_text(), sys.argv[3:]), end="")
