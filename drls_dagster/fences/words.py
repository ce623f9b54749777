"""What a fence refused, in words: the path, and the setting that allows it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from drls_dagster.fences.places import is_own, resolved
from drls_dagster.home import home_folder
from drls_dagster.settings import load_settings
from lifecycle.spec.modules import find_top

# Python's, Java's for opening and for NIO, and Spark's for what it then calls missing.
_REFUSED = "(?:Permission denied|Read-only file system)"
_PATHS = (
    re.compile(rf"\[Errno (?:13|30)\] {_REFUSED}: b?(['\"])(?P<path>.+?)\1"),
    re.compile(rf"(?:File )?(?:file:/*)?(?P<path>/[^\s:'\"]+)(?: does not exist)? ?\({_REFUSED}\)"),
    re.compile(r"AccessDeniedException: (?:file:)?(?P<path>/[^\s:'\"]+)"),
)
# Spark's for what is not there: the engine sees only what its fence opens.
_HIDDEN = (
    re.compile(r"Path does not exist: (?:file:/*)?(?P<path>/.+?)\.(?=\s|$)"),
    re.compile(r"FileNotFoundException: (?:File )?(?:file:/*)?(?P<path>/[^\s:'\"]+) (?:does not exist|\(No such file)"),
    re.compile(r"NoSuchFileException: (?:file:/*)?(?P<path>/[^\s:'\"]+)"),
)
_MODULE = re.compile(r"No module named ['\"](?P<top>\w+)")


def explained(error_text: str) -> str | None:
    """What to do about an error of fenced code that the fence caused; None where it did not.

    Ask where there is a fence: it compares with what this process, which has none, may do.
    """
    for pattern in _PATHS:
        if match := pattern.search(error_text):
            path = "/" + match["path"].lstrip("/")
            return refused(path, writing=not os.path.exists(path))
    for pattern in _HIDDEN:
        if match := pattern.search(error_text):
            return hidden("/" + match["path"].lstrip("/"))
    match = _MODULE.search(error_text)
    if match is not None:
        found = find_top(match["top"], ())
        if found.kind == "installed":
            return refused(str(found.places[0]), writing=False)
    return None


def hidden(path: str) -> str | None:
    """The words for a path that the engine did not find; None where there is nothing."""
    if not os.path.lexists(path):
        return None
    if is_own(Path(path).resolve(), home_folder().resolve()):
        return f"the engine cannot read {path}: DRLS keeps it for itself, and no setting opens it"
    return f"the engine cannot read {path}: add its folder to [sources] roots or [fence] read in drls.toml"


def refused(path: str, *, writing: bool) -> str | None:
    """The words for a path that fenced code could not open; None where this process cannot either."""
    here = Path(path)
    if writing:
        here = next((one for one in (here, *here.parents) if one.exists()), here)
    if not os.access(here, os.W_OK if writing else os.R_OK):
        return None
    verb = "write" if writing else "read"
    if is_own(here.resolve(), home_folder().resolve()):
        return f"the fence does not let pipeline code {verb} {path}: DRLS keeps it for itself, and no setting opens it"
    fence = load_settings().fence
    allowed = fence.write if writing else (*fence.read, *fence.write)
    if fence.account is not None and any(here.resolve().is_relative_to(one) for one in resolved(allowed)):
        return (
            f"the fence lets pipeline code {verb} {path}, but its account {fence.account} may not: change the mode or "
            "the owner there"
        )
    return f"the fence does not let pipeline code {verb} {path}; add its folder to [fence] {verb} in drls.toml"
