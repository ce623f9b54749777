"""The local code of a pipeline: every file that its functions import, and what those import (L2).

Local is what is neither Python's own nor an installed distribution. Of a package all files count, whatever it
imports; of the rest, what the source imports by name. Nothing is run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lifecycle.spec.base import refuse_code_path
from lifecycle.spec.command_files import command_files, project_files, schema_file
from lifecycle.spec.custom import CustomTransform
from lifecycle.spec.dbt import DbtTransform
from lifecycle.spec.errors import FieldError, Problem, SpecError, shorten
from lifecycle.spec.imports import Imports, imports_of
from lifecycle.spec.modules import CACHES, Found, find_spec, find_top
from lifecycle.spec.pipeline import PipelineSpec
from lifecycle.spec.sources import KafkaSource, SourceNode
from lifecycle.spec.steps import AnyTransform

MAX_CODE_FILES = 2_000
MAX_FILE_BYTES = 1_000_000
MAX_CODE_BYTES = 4_000_000
SUFFIXES = frozenset({
    ".py", ".pyi", ".sql", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".txt", ".csv", ".tsv", ".md",
    ".rst", ".xml", ".html", ".j2", ".jinja", ".jinja2", ".avsc", ".proto", ".typed",
})  # fmt: skip
_NAMES = frozenset({"LICENSE", "NOTICE", "README", "Makefile"})
_read: dict[bytes, Imports] = {}


@dataclass(frozen=True)
class LocalCode:
    """Files by their path below the folder that Python finds them in, the top-level modules of each node's code, and
    what it imports that was found nowhere ("*": it works out names itself). `folders`: in which each module lies."""

    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    unresolved: tuple[str, ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def digests(self) -> dict[str, str]:
        return {path: content_digest(content) for path, content in self.files.items()}


def content_digest(content: bytes) -> str:
    """The name under which a file's content is kept."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def local_code(
    spec: PipelineSpec, search_path: Sequence[Path], *, here_only: bool = False, only_python: bool = False
) -> LocalCode:
    """The closure of all steps' Python, and the files of their commands.

    Raises SpecError naming the node, and the file and the limit where one cannot be kept. `here_only`: on `search_path`
    alone, not on Python's own. `only_python`: without limits, for versions from before files were kept.
    """
    closure = _Closure(tuple(search_path), here_only, only_python)
    modules: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for node in (*spec.sources, *spec.transforms):
        found, where = _imports(node)
        try:
            if isinstance(node, SourceNode):
                tops = closure.schema(node)
            elif isinstance(node, CustomTransform):
                tops = closure.command(node)
            elif isinstance(node, DbtTransform):
                tops = closure.project(node)
            else:
                tops = closure.follow(found)
            if tops:
                modules[node.id] = tuple(sorted(tops))
            closure.check_total()
        except FieldError as error:
            problems.append(Problem(node.id, where, error.message, error.remedy))
        except OSError as error:
            message = f"it cannot be read: {error.strerror} ({error.filename})"
            problems.append(Problem(node.id, where, message, "check its permissions"))
    if problems:
        raise SpecError(problems)
    return LocalCode(dict(sorted(closure.files.items())), modules, tuple(sorted(closure.unresolved)), closure.folders)


def _imports(node: AnyTransform | SourceNode) -> tuple[Imports, str]:
    if isinstance(node, SourceNode):
        return Imports(), "source.schema_file"
    if isinstance(node, CustomTransform):
        return Imports(), "command"
    if isinstance(node, DbtTransform):
        return Imports(), "project"
    entrypoint = getattr(node, "entrypoint", None)
    if entrypoint:
        return Imports(frozenset({entrypoint.partition(":")[0].partition(".")[0]})), "entrypoint"
    return imports_of(getattr(node, "python", None) or ""), "python"


class _Closure:
    def __init__(self, search_path: tuple[Path, ...], here_only: bool, only_python: bool) -> None:
        self.search_path = search_path
        self.here_only = here_only
        self.only_python = only_python
        self.files: dict[str, bytes] = {}
        self.folders: dict[str, str] = {}
        self.unresolved: set[str] = set()
        self._known: dict[str, Imports | None] = {}  # local modules with what they import; None for all others

    def follow(self, start: Imports) -> set[str]:
        """The local top-level modules that are reached from there."""
        seen: set[str] = set()
        todo = [start]
        while todo:
            imports = todo.pop()
            if imports.unknown:
                self.unresolved.add("*")
            for top in imports.names | imports.perhaps:
                if top in seen:
                    continue
                found = self._look(top, certain=top in imports.names)
                if found is not None:
                    seen.add(top)
                    todo.append(found)
        return seen

    def command(self, node: CustomTransform) -> set[str]:
        """The same for a command: its files, and the modules that the Python among them imports."""
        names = {node.module.partition(".")[0]} if node.module else set[str]()
        tops: set[str] = set()
        for path, file in command_files(node, self.search_path).items():
            self.files[path] = _content(path, file)
            tops.add(path.partition("/")[0].removesuffix(".py"))
            if path.endswith(".py"):
                found = _imports_of(self.files[path])
                names |= found.names
                if found.unknown:
                    self.unresolved.add("*")
        return tops | self.follow(Imports(frozenset(names - tops)))

    def project(self, node: DbtTransform) -> set[str]:
        """The same for a dbt project, which is kept whole."""
        for path, file in project_files(node.project, self.search_path).items():
            self.files[path] = _content(path, file)
        return {node.project.partition("/")[0]}

    def schema(self, node: SourceNode) -> set[str]:
        """The same for a source: the file with the schema of its messages."""
        name = node.source.schema_file if isinstance(node.source, KafkaSource) else None
        if name is None or self.only_python:
            return set()
        self.files[name] = _content(name, schema_file(name, self.search_path))
        return {name.partition("/")[0].removesuffix(".py")}

    def check_total(self) -> None:
        if self.only_python:
            return
        if len(self.files) > MAX_CODE_FILES:
            message = f"the local code it imports has more than {MAX_CODE_FILES} files"
            raise FieldError(message, "install it as a distribution, or import less")
        size = sum(map(len, self.files.values()))
        if size > MAX_CODE_BYTES:
            largest = max(self.files, key=lambda path: len(self.files[path]))
            raise FieldError(
                f"the local code it imports has {size:,} bytes, the largest file is '{shorten(largest)}'; the "
                f"limit for a version is {MAX_CODE_BYTES:,}",
                "keep data out of it",
            )

    def _look(self, top: str, *, certain: bool) -> Imports | None:
        if top in self._known:
            return self._known[top]
        found = find_top(top, self.search_path, here_only=self.here_only)
        if found.kind == "missing" and certain:
            self.unresolved.add(top)
        if found.kind in {"python", "platform"} and certain:
            self._refuse_shadow(top, "Python itself" if found.kind == "python" else "DRLS or Spark")
        if found.kind == "local":
            self._known[top] = self._read(top, found)
        elif certain or found.kind != "missing":
            self._known[top] = None
        return self._known.get(top)

    def _refuse_shadow(self, top: str, whose: str) -> None:
        """Their own module is what is imported; a file of that name would be left out silently."""
        theirs = find_spec(top, ())
        for base in self.search_path:
            for own in (base / f"{top}.py", base / top / "__init__.py"):
                is_theirs = theirs is not None and theirs.origin is not None and own.resolve() == Path(theirs.origin)
                if own.is_file() and not is_theirs and not self.only_python:
                    shown = own.relative_to(base).as_posix()
                    raise FieldError(f"'{shown}' has the name of a module of {whose}", "rename it")

    def _read(self, top: str, found: Found) -> Imports:
        names: set[str] = set()
        perhaps: set[str] = set()
        unknown = False
        for path, file in _files(top, found):
            if self.only_python:
                if file.suffix != ".py":
                    continue
            else:
                _check_kind(path, file)
            if path in self.files:
                continue  # a namespace's folder further down the path
            content = file.read_bytes() if self.only_python else _content(path, file)
            self.files[path] = content
            if len(self.files) > MAX_CODE_FILES:
                self.check_total()
            if file.suffix == ".py":
                imports = _imports_of(content)
                names |= imports.names
                # A package is kept whole: what it works out inside itself is there.
                perhaps |= imports.perhaps
                unknown = unknown or (imports.unknown and not found.is_package)
        self.folders[top] = str(found.places[0].parent)
        return Imports(frozenset(names - {top}), frozenset(perhaps - {top}), unknown)


def _content(path: str, file: Path) -> bytes:
    content = file.read_bytes()
    if len(content) > MAX_FILE_BYTES:
        message = f"'{shorten(path)}' has {len(content):,} bytes; the limit for a file is {MAX_FILE_BYTES:,}"
        raise FieldError(message, "keep data out of the package")
    return content


def _imports_of(content: bytes) -> Imports:
    """A code location reads the same packages for each of its pipelines, and again at each reload."""
    key = hashlib.sha256(content).digest()
    if key not in _read:
        if len(_read) > 10 * MAX_CODE_FILES:
            _read.clear()
        _read[key] = imports_of(content)
    return _read[key]


def _files(top: str, found: Found) -> Iterator[tuple[str, Path]]:
    """Each file with its path below the folder in which Python finds the module; no hidden ones, no caches."""
    archive = next((folder for folder in found.places[0].parents if folder.is_file()), None)
    if archive is not None:
        message = f"'{top}' is in the archive {shorten(archive.name)}, which cannot be stored with the version"
        raise FieldError(message, "unpack it next to the pipeline, or install it as a distribution")
    if not found.is_package:
        yield found.places[0].name, found.places[0]
        return
    some = False
    for place in found.places:
        for folder, folders, names in os.walk(place):
            folders[:] = sorted(name for name in folders if name not in CACHES and not name.startswith("."))
            linked = next((name for name in folders if Path(folder, name).is_symlink()), None)
            if linked:
                message = f"'{linked}' in the package '{top}' is a link to a folder"
                raise FieldError(message, "put the folder itself there")
            for name in sorted(names):
                file = Path(folder, name)
                if not name.startswith(".") and file.is_file():
                    some = True
                    yield (PurePosixPath(top) / file.relative_to(place).as_posix()).as_posix(), file
    if not some:
        raise FieldError(f"the package '{top}' has no files", "put the code into it")


def _check_kind(path: str, file: Path) -> None:
    if file.suffix.lower() in SUFFIXES or file.name in _NAMES:
        refuse_code_path(path)
        return
    if file.suffix in {".pyc", ".so", ".pyd"}:
        raise FieldError(f"'{shorten(path)}' is compiled code", "install it as a distribution")
    kind = f"{file.suffix} files" if file.suffix else "files without an ending"
    raise FieldError(
        f"'{shorten(path)}' cannot be stored with the version: {kind} are not among {' '.join(sorted(SUFFIXES))}",
        "move it out of the package",
    )


def entry_is_local(entrypoint: str, files: Mapping[str, object]) -> bool:
    """Whether the entry point's module is among those files."""
    top = entrypoint.partition(":")[0].partition(".")[0]
    return any(path == f"{top}.py" or path.startswith(f"{top}/") for path in files)
