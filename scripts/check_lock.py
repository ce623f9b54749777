"""Does requirements.lock still fit pyproject.toml? Offline: every requirement has a pin that satisfies it."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path("requirements.lock")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)
PLACE = re.compile(r"https?://|file:|^\s*--?\S+|(?:^|\s)/\w\S*", re.MULTILINE)


def problems() -> list[str]:
    """One line for each requirement without a fitting pin and each place that the lock names."""
    project = tomllib.loads(Path("pyproject.toml").read_text())
    lock = LOCK.read_text()
    pins: dict[str, list[str]] = {}
    for name, version in PIN.findall(lock):
        pins.setdefault(canonicalize_name(name), []).append(version)
    wanted = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *project["dependency-groups"]["dev"],
    ]
    found = []
    for line in wanted:
        requirement = Requirement(line)
        versions = pins.get(canonicalize_name(requirement.name), [])
        if not any(requirement.specifier.contains(version, prereleases=True) for version in versions):
            found.append(f"{line}: {LOCK} has {', '.join(versions) or 'no pin'}")
    without_hashes = re.sub(r"^\s+--hash=.*$", "", lock, flags=re.MULTILINE)
    return found + [
        f"{LOCK} names a place: {match.group().strip()}" for match in PLACE.finditer(without_hashes)
    ]


if __name__ == "__main__":
    lines = problems()
    print("\n".join(lines) or f"{LOCK} fits pyproject.toml")
    sys.exit(f"Run: make lock ({len(lines)} problems)" if lines else 0)
