"""The Python of a step: inline source, or `module:function` whose package must be the one that was saved."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from drls_dagster.errors import DrlsError
from lifecycle.spec import PipelineSpec, package_digest

Function = Callable[..., Any]
TOLD = 2000  # letters of an error; a frame printed in one may have millions


class CodeChanged(DrlsError):
    """The code that would run is not the code that was saved; it is refused, not run."""


def load_function(
    python: str | None, entrypoint: str | None, digest: str | None, search_path: Sequence[str], name: str
) -> Function:
    """The function of a step: `name` of inline source, or the entry point's own.

    Raises CodeChanged when the entry point's package has another digest than the locked one.
    """
    if python is not None:
        return _inline(python, name)
    if entrypoint is None:
        raise DrlsError(f"the step has neither python nor entrypoint for {name}()")
    return _entrypoint(entrypoint, digest, tuple(search_path))


@lru_cache(maxsize=64)
def _inline(source: str, name: str) -> Function:
    namespace: dict[str, Any] = {"__name__": "__drls_step__"}
    exec(compile(source, "<pipeline>", "exec"), namespace)  # noqa: S102  running the pipeline's code is the point
    return namespace[name]


def told(error: BaseException) -> str:
    """What the pipeline's own code raised, in one line; the code may have made the error's class too."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001
        text = "(it has no text)"
    return f"{type(error).__name__}: {text[:TOLD]}".removesuffix(": ")


def check_code(entrypoint: str | None, digest: str | None, search_path: Sequence[str]) -> None:
    """Raises CodeChanged when the entry point's package has another digest than the locked one."""
    if entrypoint is None or digest is None:
        return
    found = package_digest(entrypoint.partition(":")[0], [Path(folder) for folder in search_path])
    if found != digest:
        raise CodeChanged(
            f"{entrypoint} is not the code that was saved (saved {digest[:19]}…, here {found[:19]}…); "
            "save the pipeline again to make a version of the new code"
        )


@lru_cache(maxsize=64)
def _entrypoint(entrypoint: str, digest: str | None, search_path: tuple[str, ...]) -> Function:
    # Checked once per digest and worker, not for every batch; the step itself has checked before.
    check_code(entrypoint, digest, search_path)
    module, _, function = entrypoint.partition(":")
    _forget(module.partition(".")[0], search_path)
    sys.path[:0] = [p for p in search_path if p not in sys.path]
    importlib.invalidate_caches()
    return getattr(importlib.import_module(module), function)


def _forget(package: str, search_path: tuple[str, ...]) -> None:
    """A warm worker may hold the pipeline's package as an earlier version had it; installed ones stay."""
    for name, module in list(sys.modules.items()):
        if name == package or name.startswith(f"{package}."):
            file = getattr(module, "__file__", None) or ""
            if any(Path(file).is_relative_to(folder) for folder in search_path):
                del sys.modules[name]


def locked_digest(spec: PipelineSpec, entrypoint: str | None) -> str | None:
    """The digest that the spec's lock block has for an entry point; None for inline source."""
    if entrypoint is None:
        return None
    if spec.lock is None or entrypoint not in spec.lock.code:
        raise CodeChanged(f"{entrypoint} is not locked: the pipeline must be saved (or run from its file) first")
    return spec.lock.code[entrypoint]
