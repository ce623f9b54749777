"""The Python of a step: inline source or `module:function`, with the local code that was saved with the version."""

from __future__ import annotations

import base64
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from drls_dagster.engine.code_folder import materialise
from drls_dagster.engine.isolated import PREFIX, CodeRefused, Package
from drls_dagster.engine.outside import FREE, STEP, watch
from drls_dagster.errors import DrlsError
from lifecycle.spec import package_digest
from lifecycle.spec.closure import entry_is_local
from lifecycle.spec.imports import NAMING
from lifecycle.spec.modules import find_top

Function = Callable[..., Any]
TOLD = 2000  # letters of an error; a frame printed in one may have millions
_CODE = re.compile(r"\[[A-Z][A-Z0-9_]{3,}(?:\.[A-Z0-9_]+)*\] ?")  # of Spark's errors
_OWN_NAME = re.compile(PREFIX + r"[0-9a-f]{32}\.?")
_installed: set[str] = set()


class CodeChanged(DrlsError):
    """The code that would run is not the code that was saved; it is refused, not run."""


class SentCode(BaseModel):
    """A version's local code on its way to a Ray worker: contents in base64 by path. `root`: where its files may lie.

    `guarded`: what it imports from outside must be installed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    files: dict[str, str]
    root: str
    folder: str | None = None
    guarded: bool = True

    def contents(self) -> dict[str, bytes]:
        """The files by path."""
        return {path: base64.b64decode(content) for path, content in self.files.items()}

    def package(self) -> Package:
        """The modules, importable in this process."""
        known = sys.modules.get(self.name)
        if known is not None:
            return known.package
        folder = self.placed().folder or self.root
        return Package(self.name, self.contents(), folder, NAMING, refuse_outside if self.guarded else None).install()

    @property
    def is_placed(self) -> bool:
        """Whether its folder is one of ours, and not somebody's own."""
        return self.folder is not None and Path(self.folder).is_relative_to(self.root)

    def placed(self) -> SentCode:
        """The same with its files in a folder of this machine, for a process that cannot put them there itself."""
        if self.folder or not self.files:
            return self
        return self.model_copy(update={"folder": str(materialise(self.contents(), Path(self.root)))})


def load_function(
    python: str | None, entrypoint: str | None, digest: str | None, code: SentCode | None, name: str
) -> Function:
    """The function of a step: `name` of inline source, or the entry point's own.

    `code` is the version's local code. Raises CodeChanged when the entry point is installed, in another version than
    the one that was locked.
    """
    watch(refuse_outside)
    try:
        package = code.package() if code is not None else None
        if python is not None:
            return _inline(python, name, package)
        if entrypoint is None:
            raise DrlsError(f"the step has neither python nor entrypoint for {name}()")
        return _entrypoint(entrypoint, digest, package)
    except CodeRefused as error:
        raise CodeChanged(str(error)) from None


@lru_cache(maxsize=64)
def _inline(source: str, name: str, package: Package | None) -> Function:
    namespace: dict[str, Any] = {"__name__": STEP}
    if package is not None and package.check is None:
        namespace[FREE] = True
    code: Any = package.compile(source, "<pipeline>") if package else compile(source, "<pipeline>", "exec")
    exec(code, namespace)  # noqa: S102  running the pipeline's code is the point
    return namespace[name]


def told(error: BaseException) -> str:
    """What the pipeline's own code raised, in one line; the code may have made the error's class too."""
    try:
        text = _CODE.sub("", " ".join(str(error).split()))
    except Exception:  # noqa: BLE001
        text = "(it has no text)"
    return f"{type(error).__name__}: {_OWN_NAME.sub('', text)[:TOLD]}".removesuffix(": ")


def check_code(entrypoint: str | None, digest: str | None, search_path: Sequence[str]) -> None:
    """Raises CodeChanged when the entry point's package has another digest than the locked one, or is not there."""
    if entrypoint is None or digest is None:
        return
    try:
        found = package_digest(entrypoint.partition(":")[0], [Path(folder) for folder in search_path])
    except (ValueError, OSError) as error:
        where = ", ".join(search_path) or "Python's own path"
        raise CodeChanged(
            f"the code of {entrypoint} is not in {where}: {error}; save the pipeline again to store its code "
            "with the version"
        ) from None
    if found != digest:
        raise CodeChanged(
            f"{entrypoint} is not the code that was saved (saved {digest[:19]}…, here {found[:19]}…); save "
            "the pipeline again to create a version of the new code"
        )


@lru_cache(maxsize=64)
def _entrypoint(entrypoint: str, digest: str | None, package: Package | None) -> Function:
    name, _, function = entrypoint.partition(":")
    if package is not None and entry_is_local(entrypoint, package.files):
        module = package.module(name)
    else:
        check_code(entrypoint, digest, ())
        module = importlib.import_module(name)
        _refuse_other(name.partition(".")[0])
    found = getattr(module, function, None)
    if found is None:
        raise DrlsError(f"the module {name} has no function {function}; correct the entrypoint {entrypoint}")
    return found


def _refuse_other(top: str) -> None:
    """What an earlier step of this process imported under that name may be something else than what is installed."""
    module = sys.modules[top]
    found = find_top(top, ())
    here = [Path(place) for place in getattr(module, "__path__", [])] or [Path(getattr(module, "__file__", None) or "")]
    if found.kind == "installed" and not any(place in found.places for place in here):
        raise CodeChanged(
            f"the module {top} was loaded from {here[0]} in this process; restart the engine, then run again"
        )


def refuse_outside(top: str) -> None:
    """Raises CodeRefused for a module that is neither kept with the version nor installed."""
    place = _uninstalled(top)
    if place is not None:
        raise CodeRefused(
            f"the code imports {top}, which is in {place} here and is neither stored with the version nor "
            "installed; save the pipeline where it can be found, or install it as a distribution",
            name=top,
        )


def _uninstalled(top: str) -> Path | None:
    """Where a module lies that nobody installed. What is not there may come at any time: it is looked for each time."""
    if top in _installed:
        return None
    found = find_top(top, ())
    if found.kind == "local":
        return found.places[0].parent
    if found.kind != "missing":
        _installed.add(top)
    return None
