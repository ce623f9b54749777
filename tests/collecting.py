"""Which test files a run with `-m` can leave unread.

Importing all test files takes half a minute of a processor, and CI runs many small selections. A run that asks for a marker,
as `-m kafka` or `-m "engine and not slow"` do, reads the files only that give this marker to a test, or whose conftest.py
or helper does. Runs that ask for none, which read every file, check that nothing is missed by that.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).parent
FILTERED = ("engine", "postgres", "kafka", "browser", "mcp", "s3", "rest", "kills", "slow")


def asked_for(expression: str) -> list[str]:
    """The markers of `FILTERED` that every test of this `-m` expression has; none where it has `or` or parentheses."""
    words = expression.split()
    if "or" in words or "(" in expression:
        return []
    return [part for part in (part.strip() for part in expression.split(" and ")) if part in FILTERED]


@functools.cache
def may_hold(path: Path, marker: str) -> bool:
    """Whether a test of this file, or of a file in this folder, can have the marker."""
    if path.is_dir():
        return any(may_hold(found, marker) for found in path.rglob("test_*.py"))
    conftests = (folder / "conftest.py" for folder in path.parents if TESTS in folder.parents)
    return any(_gives(found, marker) for found in (path, *conftests))


def missed(tests: Iterable[tuple[Path, str, set[str]]]) -> list[str]:
    """What `may_hold` wrongly leaves out, of tests given by file, name and markers."""
    return [
        f"{name}: has the marker {marker}, but no file that it reads says `mark.{marker}`"
        for path, name, markers in tests
        for marker in FILTERED
        if marker in markers and not may_hold(path, marker)
    ]


@functools.cache
def _gives(path: Path, marker: str) -> bool:
    """Whether this file or a helper of the tests that it imports says `mark.<marker>`."""
    seen: set[Path] = set()
    ahead = {path}
    while ahead:
        found = ahead.pop()
        if f"mark.{marker}" in _text(found):
            return True
        seen.add(found)
        ahead |= _imported(found) - seen
    return False


@functools.cache
def _imported(path: Path) -> frozenset[Path]:
    """The files of tests that it imports: from the top, or from its own folder and those above."""
    names = {name.replace(".", "/") for name in re.findall(r"^\s*(?:from|import) ([\w.]+)", _text(path), re.MULTILINE)}
    folders = [folder for folder in path.parents if TESTS.parent in (folder, *folder.parents)]
    places = (folder / f"{name}.py" for folder in folders for name in names)
    return frozenset(place for place in places if TESTS in place.parents and place.is_file())


@functools.cache
def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
