"""The files of a command next to the pipeline file: found by name, never run (L2)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lifecycle.spec.base import refuse_code_path
from lifecycle.spec.custom import CustomTransform
from lifecycle.spec.errors import FieldError, shorten
from lifecycle.spec.imports import imports_of
from lifecycle.spec.modules import CACHES

RESERVED = frozenset({"inputs", "output", "tmp"})  # what a command finds in its folder besides its files


def command_files(node: CustomTransform, search_path: Sequence[Path]) -> dict[str, Path]:
    """What is kept with the version, by path: the arguments that are files, `files`, and the modules next to a script.

    Raises FieldError where a file that must be there is not, or is a link.
    """
    found: dict[str, Path] = {}
    for name in node.named_files():
        place = _place(name, search_path)
        if place is not None and place.is_file():
            found[refuse_code_path(name)] = _own(place, name)
    for name in node.files:
        place = _place(name, search_path)
        if place is None:
            raise FieldError(f"there is no file or folder '{shorten(name)}'", "put it next to the pipeline file")
        found |= dict(_below(name, place))
    script = node.script
    if script and script not in found and _must_be_there(node, script):
        raise FieldError(f"there is no file '{shorten(script)}'", "put it next to the pipeline file")
    todo = [path for path in found if path.endswith(".py")]
    while todo:
        for path, place in _next_to(todo.pop(), found):
            found[path] = place
            todo.append(path)
    taken = next((path for path in found if path.partition("/")[0] in RESERVED), None)
    if taken:
        raise FieldError(f"'{shorten(taken)}' has the name of a folder of the step", "rename it")
    return dict(sorted(found.items()))


def project_folder(project: str, search_path: Sequence[Path]) -> Path:
    """Where a dbt project lies. Raises FieldError where it does not exist."""
    folder = next((base / project for base in search_path if (base / project / "dbt_project.yml").is_file()), None)
    if folder is None:
        raise FieldError(f"there is no dbt project '{shorten(project)}'", "name a folder that has a dbt_project.yml")
    return folder


def project_files(project: str, search_path: Sequence[Path]) -> dict[str, Path]:
    """What is kept of a dbt project: all files of its folder but hidden ones and what dbt itself writes.

    Raises FieldError where there is no such project, or a link is in it.
    """
    folder = project_folder(project, search_path)
    written = (f"{project}/target/", f"{project}/logs/")
    found = {path: file for path, file in _below(project, folder) if not path.startswith(written)}
    taken = project.partition("/")[0]
    if taken in RESERVED:
        raise FieldError(f"'{shorten(taken)}' has the name of a folder of the step", "rename it")
    return dict(sorted(found.items()))


def schema_file(name: str, search_path: Sequence[Path]) -> Path:
    """The schema of a source's messages. Raises FieldError where there is no such file, or a link leads to it."""
    base = next((base for base in search_path if (base / name).is_file() or (base / name).is_symlink()), None)
    if base is None:
        raise FieldError(f"there is no file '{shorten(name)}'", "put it next to the pipeline file, or below there")
    parts = name.split("/")
    for length in range(1, len(parts) + 1):
        _own(base.joinpath(*parts[:length]), "/".join(parts[:length]))
    return base / name


def _must_be_there(node: CustomTransform, script: str) -> bool:
    """An interpreter's first argument may also be something else, such as a folder of its own."""
    return "/" in node.command[0] or bool(os.path.splitext(script)[1])


def _next_to(path: str, known: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """The modules that a script in a folder imports from there; those next to the pipeline file are found by name."""
    folder, slash, _ = path.rpartition("/")
    if not slash:
        return
    place = known[path].parent
    for name in sorted(imports_of(known[path].read_bytes()).names):
        inside = f"{folder}/{name}"
        if (place / f"{name}.py").is_file() and f"{inside}.py" not in known:
            yield f"{inside}.py", _own(place / f"{name}.py", f"{inside}.py")
        elif (place / name).is_dir():
            yield from ((one, file) for one, file in _below(inside, place / name) if one not in known)


def _place(name: str, search_path: Sequence[Path]) -> Path | None:
    """Where it is, of the folders that pipelines are looked for in."""
    return next((base / name for base in search_path if (base / name).exists()), None)


def _own(place: Path, name: str) -> Path:
    if place.is_symlink():
        raise FieldError(f"'{shorten(name)}' is a link", "put the file itself there")
    return place


def _below(name: str, place: Path) -> Iterator[tuple[str, Path]]:
    """A file, or all files of a folder but hidden ones and caches."""
    if _own(place, name).is_file():
        yield refuse_code_path(name), place
        return
    for folder, folders, names in os.walk(place):
        folders[:] = sorted(one for one in folders if one not in CACHES and not one.startswith("."))
        for one in (*folders, *sorted(names)):
            _own(Path(folder, one), one)
        for one in sorted(names):
            if not one.startswith(".") and Path(folder, one).is_file():
                path = f"{name}/{Path(folder, one).relative_to(place).as_posix()}"
                yield refuse_code_path(path), Path(folder, one)
