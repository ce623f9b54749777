"""The lock block: what the names in a spec stood for when it was saved (L2).

Code is found and hashed, never imported. Of local code every file that a step's Python reaches is named with its
digest (`closure`); what pip installed is named by distribution and version.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lifecycle.spec.closure import LocalCode, entry_is_local, local_code
from lifecycle.spec.command_files import project_folder
from lifecycle.spec.custom import CustomTransform
from lifecycle.spec.dbt import DbtTransform
from lifecycle.spec.errors import FieldError, Problem, SpecError, shorten
from lifecycle.spec.modules import CACHES, distributions, find_spec, is_installed
from lifecycle.spec.pipeline import Lock, PipelineSpec

MAX_FILES = 20_000
_DBT_OUTPUT = frozenset({"target", "logs"})


def resolve_lock(spec: PipelineSpec, search_path: Sequence[Path]) -> PipelineSpec:
    """The spec with its lock block filled anew; None where it names nothing outside itself.

    Modules and dbt projects are looked for on `search_path` first, modules then on sys.path. Raises SpecError
    naming each node whose code or project cannot be resolved.
    """
    return lock_with_code(spec, search_path)[0]


def lock_with_code(
    spec: PipelineSpec, search_path: Sequence[Path], *, here_only: bool = False
) -> tuple[PipelineSpec, LocalCode]:
    """Like `resolve_lock`, with the files of local code. `here_only`: local code is on `search_path` alone."""
    code: dict[str, str] = {}
    projects: dict[str, str] = {}
    images: dict[str, str] = {}
    problems: list[Problem] = []
    for node in spec.transforms:
        field = "entrypoint"
        try:
            entrypoint = getattr(node, "entrypoint", None)
            if entrypoint and entrypoint not in code:
                code[entrypoint] = package_digest(entrypoint, search_path)
            elif isinstance(node, DbtTransform):
                field = "project"
                projects[node.project] = _project_digest(node.project, search_path)
            elif isinstance(node, CustomTransform) and node.image and node.image_digest:
                images[node.image] = node.image_digest
        except FieldError as error:
            problems.append(Problem(node.id, field, error.message, error.remedy))
        except OSError as error:
            message = f"it cannot be read: {error.strerror} ({error.filename})"
            problems.append(Problem(node.id, field, message, "check its permissions"))
    if problems:
        raise SpecError(problems)
    local = local_code(spec, search_path, here_only=here_only)
    elsewhere = [
        Problem(node.id, "entrypoint", "its module is not among the uploaded files", "upload it as well")
        for node in spec.transforms
        if (entrypoint := getattr(node, "entrypoint", None)) and here_only
        if code[entrypoint].startswith("sha256:") and not entry_is_local(entrypoint, local.files)
    ]
    if elsewhere:
        raise SpecError(elsewhere)
    lock = Lock(
        code=code,
        dbt=projects,
        images=images,
        files=local.digests,
        modules=dict(local.modules),
        unresolved=local.unresolved,
    )
    return spec.model_copy(update={"lock": None if lock == Lock() else lock}), local


def package_digest(module: str, search_path: Sequence[Path]) -> str:
    """What a module's top-level package is now: `sha256:<hex>` of its files, or `distribution==version`.

    `module` may also be `module:function`. A run compares this with the lock block and refuses changed code.
    Raises ValueError, with the remedy, if the module is not found.
    """
    name = module.partition(":")[0]
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        raise FieldError(f"'{shorten(name)}' belongs to Python itself", "use a module of your own")
    found = find_spec(top, search_path)
    if found is None:
        raise FieldError(
            f"the module '{shorten(name)}' was not found", "put its folder on the search path, or install it"
        )
    roots = [Path(root) for root in found.submodule_search_locations or ()]
    _require_submodule(name, roots)
    places = roots or [Path(found.origin or "")]
    installed = distributions(top) if is_installed(top, places) else []
    return ", ".join(installed) or _tree_digest(places, f"package '{top}'", CACHES)


def _require_submodule(name: str, roots: list[Path]) -> None:
    """`a.b.c` must exist as a file or folder below the package; only then can `a`'s digest stand for it."""
    parts = name.split(".")[1:]
    if not parts:
        return
    below = [root.joinpath(*parts) for root in roots]
    files = [path.parent / f"{path.name}{suffix}" for path in below for suffix in importlib.machinery.all_suffixes()]
    if not any(path.is_dir() for path in below) and not any(path.is_file() for path in files):
        raise FieldError(f"the module '{shorten(name)}' was not found", "correct the part before the colon")


def _project_digest(project: str, search_path: Sequence[Path]) -> str:
    folder = project_folder(project, search_path)
    return _tree_digest([folder], f"dbt project '{shorten(project)}'", CACHES | _DBT_OUTPUT)


def _tree_digest(places: Sequence[Path], what: str, skip: frozenset[str]) -> str:
    """SHA-256 over the sorted relative paths of all files, each with the SHA-256 of its content.

    Hidden files and caches do not count. A link to a folder is refused: code behind it would go uncovered.
    """
    lines: list[str] = []
    for place in places:
        for path in _files(place, what, skip):
            name = path.relative_to(place.parent if place.is_file() else place).as_posix()
            with path.open("rb") as file:
                lines.append(f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n")
            if len(lines) > MAX_FILES:
                raise FieldError(f"the {what} has more than {MAX_FILES} files", "keep data out of it")
    if not lines:
        raise FieldError(f"the {what} has no files", "put the code into it")
    whole = "".join(sorted(lines)).encode("utf-8", "surrogateescape")
    return f"sha256:{hashlib.sha256(whole).hexdigest()}"


def _files(place: Path, what: str, skip: frozenset[str]) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for folder, folders, files in os.walk(place):
        folders[:] = [name for name in folders if name not in skip and not name.startswith(".")]
        linked = next((name for name in folders if Path(folder, name).is_symlink()), None)
        if linked:
            raise FieldError(f"'{linked}' in the {what} is a link to a folder", "put the folder itself there")
        for name in files:
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                yield path
