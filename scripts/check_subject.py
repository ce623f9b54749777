"""Check the subject of a commit message, given as a file: imperative, at most 72 characters, no period."""

from __future__ import annotations

import re
import sys
from pathlib import Path

LENGTH = 72
# "Adds", "Added", "Adding": not what the commit does when it is applied. Verbs that only look like it are below.
INFLECTED = re.compile(r"^[A-Z][a-z]+(?:ed|ing|[^s]s)$")
IMPERATIVE = {"Embed", "Feed", "Seed", "Shed", "Speed", "Bring", "String", "Focus", "Bias", "Alias", "Canvas"}
# Git and GitHub write these themselves.
MADE = ("Merge ", 'Revert "', "fixup! ", "squash! ")


def problems(subject: str) -> list[str]:
    """Each thing that is wrong with a subject, with what to do."""
    if subject.startswith(MADE):
        return []
    first = subject.split(" ", 1)[0]
    found = []
    if len(subject) > LENGTH:
        found.append(f"it has {len(subject)} characters: shorten it to {LENGTH}")
    if not first[:1].isupper():
        found.append("begin with a capital letter")
    if INFLECTED.match(first) and first not in IMPERATIVE:
        found.append(f"{first!r} is not imperative: write 'Add', not 'Adds', 'Added' or 'Adding'")
    if subject.endswith("."):
        found.append("leave out the period")
    return found


if __name__ == "__main__":
    lines = [line for line in Path(sys.argv[1]).read_text().splitlines() if not line.startswith("#")]
    wrong = problems(lines[0] if lines else "")
    print("\n".join(f"Commit subject: {one}" for one in wrong), end="\n" if wrong else "")
    sys.exit(bool(wrong))
