"""The Python of a step: inline source or `module:function`, with the local code that was saved with the version."""

from __future__ import annotations

import base64
import hashlib
import importlib
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from drls_dagster.errors import DrlsError
from drls_dagster.steps.code_folder import materialise
from drls_dagster.steps.isolated import MOST, PREFIX, CodeRefused, Package
from lifecycle.spec import PipelineSpec, content_digest, digest, local_code, package_digest
from lifecycle.spec.closure import entry_is_local
from lifecycle.spec.imports import NAMING
from lifecycle.spec.modules import find_top

if TYPE_CHECKING:
    from drls_dagster.settings import Settings
    from drls_dagster.steps.run import PipelineRun

Function = Callable[..., Any]
TOLD = 2000  # letters of an error; a frame printed in one may have millions
_OWN_NAME = re.compile(PREFIX + r"[0-9a-f]{32}\.?")
_line = threading.Lock()
_installed: set[str] = set()
_codes: dict[tuple[str, str, Path, tuple[str, ...]], SentCode | None] = {}


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

    def package(self) -> Package:
        """The modules, importable in this process."""
        known = sys.modules.get(self.name)
        if known is not None:
            return known.package
        files = {path: base64.b64decode(content) for path, content in self.files.items()}
        folder = self.folder or (str(materialise(files, Path(self.root))) if files else self.root)
        return Package(self.name, files, folder, NAMING, refuse_outside if self.guarded else None).install()


def sent_code(run: PipelineRun) -> SentCode | None:
    """The local code of a run's pipeline; None where its Python needs none.

    Raises CodeChanged where a file is not what was saved.
    """
    key = (run.version, run.environment, run.settings.home, tuple(run.search_path))
    with _line:
        if key not in _codes:
            if len(_codes) >= MOST:
                del _codes[next(iter(_codes))]
            _codes[key] = _read(run.spec, run.environment, run.settings, tuple(run.search_path))
        return _codes[key]


def load_function(
    python: str | None, entrypoint: str | None, digest: str | None, code: SentCode | None, name: str
) -> Function:
    """The function of a step: `name` of inline source, or the entry point's own.

    `code` is the version's local code. Raises CodeChanged when the entry point is installed, in another version than
    the one that was locked.
    """
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
    namespace: dict[str, Any] = {"__name__": "__drls_step__"}
    code: Any = package.compile(source, "<pipeline>") if package else compile(source, "<pipeline>", "exec")
    exec(code, namespace)  # noqa: S102  running the pipeline's code is the point
    return namespace[name]


def told(error: BaseException) -> str:
    """What the pipeline's own code raised, in one line; the code may have made the error's class too."""
    try:
        text = " ".join(str(error).split())
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
            f"the code of {entrypoint} is not in {where}: {error}; "
            "save the pipeline again, which keeps its code with the version"
        ) from None
    if found != digest:
        raise CodeChanged(
            f"{entrypoint} is not the code that was saved (saved {digest[:19]}…, here {found[:19]}…); "
            "save the pipeline again to make a version of the new code"
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
            f"the code imports {top}, which lies in {place} here and is neither kept with the version "
            "nor installed; save the pipeline where it is found, or install it as a distribution",
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


def locked_digest(spec: PipelineSpec, entrypoint: str | None) -> str | None:
    """The digest that the spec's lock block has for an entry point; None for inline source."""
    if entrypoint is None:
        return None
    if spec.lock is None or entrypoint not in spec.lock.code:
        raise CodeChanged(f"{entrypoint} is not locked: the pipeline must be saved (or run from its file) first")
    return spec.lock.code[entrypoint]


def _read(spec: PipelineSpec, environment: str, settings: Settings, search_path: tuple[str, ...]) -> SentCode | None:
    lock = spec.lock
    if lock is None:
        return None
    root = str(settings.home / "code")
    if lock.files or lock.unresolved:
        files = _contents(lock.files, settings, search_path)
        return SentCode(name=_name(spec, environment, lock.files), files=_encoded(files), root=root)
    saved_before = {entry: value for entry, value in lock.code.items() if value.startswith("sha256:")}
    if not saved_before:
        return None
    return _of_folder(spec, environment, saved_before, search_path, root)


def _of_folder(
    spec: PipelineSpec, environment: str, saved: Mapping[str, str], search_path: tuple[str, ...], root: str
) -> SentCode:
    """The code of a version from before files were kept: what lies in the folder, if its package is what was saved."""
    for entrypoint, value in saved.items():
        check_code(entrypoint, value, search_path)
    found = local_code(spec, [Path(folder) for folder in search_path], only_python=True)
    folder = next(iter(found.folders.values()), None)
    name = _name(spec, environment, found.digests)
    return SentCode(name=name, files=_encoded(found.files), root=root, folder=folder, guarded=False)


def _name(spec: PipelineSpec, environment: str, digests: Mapping[str, str]) -> str:
    """Two environments and two versions share no module, equal files or not: modules keep what they computed."""
    text = "\0".join([environment, digest(spec), *(f"{path} {value}" for path, value in sorted(digests.items()))])
    return f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: base64.b64encode(content).decode() for path, content in files.items()}


def _contents(digests: Mapping[str, str], settings: Settings, search_path: tuple[str, ...]) -> dict[str, bytes]:
    """The files from the lifecycle store; those of a draft, which nobody saved, from its folder."""
    kept = _kept(settings, set(digests.values()))
    found: dict[str, bytes] = {}
    for path, value in digests.items():
        content = kept.get(value)
        if content is None:
            content = _draft(path, search_path)
            if content is None:
                where = ", ".join(search_path) or "this machine"
                raise CodeChanged(
                    f"the file {path} of the pipeline's code is neither in the lifecycle store nor in {where}; "
                    "save the pipeline again where it is"
                )
            if content_digest(content) != value:
                raise CodeChanged(
                    f"{path} is not the code that was saved or loaded (then {value[:19]}…, now "
                    f"{content_digest(content)[:19]}…); save the pipeline again to make a version of the new code"
                )
        elif content_digest(content) != value:
            raise CodeChanged(f"{path} of the pipeline's code was changed in the database; restore a backup")
        found[path] = content
    return found


def _kept(settings: Settings, digests: set[str]) -> Mapping[str, bytes]:
    from drls_dagster.lifecycle_client.gateway import open_gateway
    from drls_dagster.lifecycle_client.opening import NoLifecycleYet

    if not digests:
        return {}
    try:
        ctx = open_gateway(settings)
    except NoLifecycleYet:
        return {}
    with ctx.store.read() as view:
        return view.code.contents(digests)


def _draft(path: str, search_path: Sequence[str]) -> bytes | None:
    top, _, rest = path.partition("/")
    found = find_top(top.removesuffix(".py") if not rest else top, [Path(folder) for folder in search_path])
    if found.kind != "local":
        return None
    for place in found.places:
        file = place.joinpath(*rest.split("/")) if rest else place
        if file.is_file():
            return file.read_bytes()
    return None
