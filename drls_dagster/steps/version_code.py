"""The local code that was saved with a run's version, read from the lifecycle store; a draft's, from its folder."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.engine.isolated import MOST, PREFIX
from drls_dagster.engine.step_code import CodeChanged, SentCode, check_code
from lifecycle.domain.environment import Environment
from lifecycle.spec import CustomTransform, DbtTransform, PipelineSpec, content_digest, digest, local_code
from lifecycle.spec.modules import find_top

if TYPE_CHECKING:
    from drls_dagster.runs.client import RunClient
    from drls_dagster.steps.run import PipelineRun

_line = threading.Lock()
_codes: dict[tuple[str, str, Path, tuple[str, ...]], SentCode | None] = {}


def sent_code(run: PipelineRun) -> SentCode | None:
    """The local code of a run's pipeline; None where its Python needs none.

    Raises CodeChanged where a file is not what was saved.
    """
    key = (run.version, run.environment, run.settings.home, tuple(run.search_path))
    with _line:
        if key not in _codes:
            if len(_codes) >= MOST:
                del _codes[next(iter(_codes))]
            _codes[key] = _read(run, tuple(run.search_path))
        return _codes[key]


def locked_digest(spec: PipelineSpec, entrypoint: str | None) -> str | None:
    """The digest that the spec's lock block has for an entry point; None for inline source."""
    if entrypoint is None:
        return None
    if spec.lock is None or entrypoint not in spec.lock.code:
        raise CodeChanged(f"{entrypoint} is not locked: the pipeline must be saved (or run from its file) first")
    return spec.lock.code[entrypoint]


def code_of(run: PipelineRun, node_id: str) -> dict[str, bytes]:
    """The files that the version keeps of a command, a dbt project or a source.

    Raises CodeChanged where one was changed.
    """
    lock = run.spec.lock
    return {} if lock is None else _contents(lock.files_of([node_id]), run.runs, tuple(run.search_path))


def _read(run: PipelineRun, search_path: tuple[str, ...]) -> SentCode | None:
    spec, environment, lock = run.spec, run.environment, run.spec.lock
    if lock is None:
        return None
    root = str(run.settings.home / "code")
    if lock.files or lock.unresolved:
        # A file of a command or a dbt project is no module of Python's.
        wanted = lock.files_of(
            node.id for node in spec.transforms if not isinstance(node, CustomTransform | DbtTransform)
        )
        files = _contents(wanted, run.runs, search_path)
        return SentCode(name=_name(spec, environment, wanted), files=_encoded(files), root=root)
    saved_before = {entry: value for entry, value in lock.code.items() if value.startswith("sha256:")}
    if not saved_before:
        return None
    return _of_folder(spec, environment, saved_before, search_path, root)


def _of_folder(
    spec: PipelineSpec, environment: Environment, saved: Mapping[str, str], search_path: tuple[str, ...], root: str
) -> SentCode:
    """The code of a version from before files were kept: what lies in the folder, if its package is what was saved."""
    for entrypoint, value in saved.items():
        check_code(entrypoint, value, search_path)
    found = local_code(spec, [Path(folder) for folder in search_path], only_python=True)
    folder = next(iter(found.folders.values()), None)
    name = _name(spec, environment, found.digests)
    return SentCode(name=name, files=_encoded(found.files), root=root, folder=folder, guarded=False)


def _name(spec: PipelineSpec, environment: Environment, digests: Mapping[str, str]) -> str:
    """Two environments and two versions share no module, equal files or not: modules keep what they computed."""
    text = "\0".join([environment, digest(spec), *(f"{path} {value}" for path, value in sorted(digests.items()))])
    return f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: base64.b64encode(content).decode() for path, content in files.items()}


def _contents(digests: Mapping[str, str], runs: RunClient, search_path: tuple[str, ...]) -> dict[str, bytes]:
    """The files from the lifecycle store; those of a draft, which nobody saved, from its folder."""
    kept = runs.code(set(digests.values())) if digests else {}
    found: dict[str, bytes] = {}
    for path, value in digests.items():
        content = kept.get(value)
        if content is None:
            content = _draft(path, search_path)
            if content is None:
                where = ", ".join(search_path) or "this machine"
                raise CodeChanged(
                    f"the file {path} of the pipeline's code is neither in the lifecycle store nor in "
                    f"{where}; save the pipeline again from where it exists"
                )
            if content_digest(content) != value:
                raise CodeChanged(
                    f"{path} is not the code that was saved or loaded (then {value[:19]}…, now "
                    f"{content_digest(content)[:19]}…); save the pipeline again to create a version of the "
                    "new code"
                )
        elif content_digest(content) != value:
            raise CodeChanged(f"{path} of the pipeline's code was changed in the database; restore a backup")
        found[path] = content
    return found


def _draft(path: str, search_path: Sequence[str]) -> bytes | None:
    top, _, rest = path.partition("/")
    found = find_top(top.removesuffix(".py") if not rest else top, [Path(folder) for folder in search_path])
    places = found.places if found.kind == "local" else ()
    files = [place.joinpath(*rest.split("/")) if rest else place for place in places]
    # The folder of a command or a dbt project is no module, whatever module has its name.
    files += [Path(base, path) for base in search_path]
    return next((file.read_bytes() for file in files if file.is_file()), None)
