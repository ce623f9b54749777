"""Where a top-level module comes from; finding one runs none of its code."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

# What DRLS itself is made of, and Spark, which need not be installed by pip where it runs.
PLATFORM = frozenset({"lifecycle", "drls_dagster", "agent", "pyspark", "py4j"})
# Folders of code that nobody wrote.
CACHES = frozenset({"__pycache__", "node_modules"})
_INSTALLED = frozenset({"site-packages", "dist-packages"})

Kind = Literal["python", "platform", "installed", "local", "missing"]


@dataclass(frozen=True)
class Found:
    """A top-level name: what it is, and its folders (a package) or its one file."""

    kind: Kind
    places: tuple[Path, ...] = ()
    is_package: bool = False


def find_top(top: str, search_path: Sequence[Path], *, here_only: bool = False) -> Found:
    """The module of that name as Python would find it with `search_path` in front of its own path.

    `here_only`: local code is looked for on `search_path` alone.
    """
    if top in sys.stdlib_module_names:
        return Found("python")
    if top in PLATFORM:
        return Found("platform")
    spec = find_spec(top, search_path)
    if spec is None:
        return Found("missing")
    places = tuple(Path(root) for root in spec.submodule_search_locations or ())
    is_package = bool(places)
    places = places or (Path(spec.origin or ""),)
    if is_installed(top, places):
        return Found("installed", places, is_package)
    if here_only:
        places = tuple(place for place in places if any(place.is_relative_to(base.absolute()) for base in search_path))
        if not places:
            return Found("missing")
    return Found("local", places, is_package)


def find_spec(top: str, search_path: Sequence[Path]) -> importlib.machinery.ModuleSpec | None:
    """Python's rule: the first module or package with code; a mere folder only without those."""
    importlib.machinery.PathFinder.invalidate_caches()
    own = importlib.machinery.PathFinder.find_spec(top, [str(path.absolute()) for path in search_path])
    if own is not None and own.origin is not None:
        return own
    finders = (finder.find_spec(top, None) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    found = [spec for spec in finders if spec and (spec.submodule_search_locations or spec.origin)]
    whole = next((spec for spec in found if spec.origin is not None), None)
    return whole or own or next(iter(found), None)


def is_installed(top: str, places: Sequence[Path]) -> bool:
    """Whether a distribution brought the module: it lies where pip puts things."""
    if all(_INSTALLED & set(place.parts) for place in places):
        return True
    root = places[0].parent
    if any(place.parent != root for place in places) or not any(root.glob("*.dist-info")):
        return False
    names = {top, f"{top}.py"}
    return any(file.parts[0] in names for one in metadata.distributions(path=[str(root)]) for file in one.files or ())


def distributions(top: str) -> list[str]:
    """`name==version` of what brought a module."""
    return sorted({f"{name}=={metadata.version(name)}" for name in metadata.packages_distributions().get(top, [])})
