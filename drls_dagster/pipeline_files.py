"""Pipeline files of a folder, each with its spec or with what is wrong with it. Imports no Dagster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lifecycle.domain.releases import Release
from lifecycle.spec import PipelineSpec, SpecError, load_pipeline, resolve_lock
from lifecycle.spec.reading import MAX_BYTES, read_value

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Loaded:
    """A pipeline file or a deployed version: its spec, or what is wrong with it.

    `path` is where it, or the modules that it names, are looked for. `said` is the name in a file that another file
    disables.
    """

    path: Path
    spec: PipelineSpec | None = None
    problem: str | None = None
    release: Release | None = None
    said: str | None = None

    @property
    def name(self) -> str:
        if self.release is not None:
            return self.release.pipeline
        return self.spec.name if self.spec else self.path.stem


def pipeline_files(folder: Path) -> list[Path]:
    """The pipeline files of a folder and of the folders in it, but for hidden ones."""
    return sort_files(folder)[0]


def sort_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pipeline files of a folder and of the folders in it, and the YAML and JSON that is something else.

    A file that cannot be read counts as a pipeline file, so that it is reported and not lost.
    """
    if not folder.is_dir():
        return [], []
    found = (path for path in folder.rglob("*") if path.suffix in SUFFIXES and not path.is_dir())
    # The folder itself may be in a hidden one: ~/.drls is.
    files = sorted(path for path in found if not _is_hidden(path.relative_to(folder)))
    others = [path for path in files if _is_something_else(path)]
    return [path for path in files if path not in others], others


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_something_else(path: Path) -> bool:
    """Whether a file reads well and does not say that it is a pipeline: other YAML and JSON may lie next to them."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if b"format_version" in content[:65_536]:
            return False
        read_value(content)
    except (OSError, SpecError):
        return False
    return True


def load_folder(folder: Path) -> list[Loaded]:
    """Every pipeline file of a folder, locked; one that is wrong says why and harms no other.

    Two files that say the same name, or write the same table, are both wrong (D11).
    """
    return refuse_twins([load_file(path) for path in pipeline_files(folder)])


def load_file(path: Path) -> Loaded:
    """A file with its lock resolved next to it."""
    found = read_file(path)
    if found.spec is None:
        return found
    try:
        return replace(found, spec=resolve_lock(found.spec, [path.parent.resolve()]))
    except (SpecError, OSError) as error:
        return Loaded(path, problem=str(error))


def read_file(path: Path) -> Loaded:
    """A file as it is, not locked: the code that it names need not be here."""
    try:
        return Loaded(path, load_pipeline(path))
    except (SpecError, OSError) as error:
        return Loaded(path, problem=str(error))


def refuse_twins(loaded: list[Loaded]) -> list[Loaded]:
    """Who claims a name or a table that another one claims too is wrong (D11); what is deployed stays."""
    claims: dict[str, list[Loaded]] = {}
    for one in loaded:
        if one.spec:
            claims.setdefault(f"the name '{one.spec.name}'", []).append(one)
            for sink in one.spec.sinks:
                claims.setdefault(f"table {sink.table}", []).append(one)
    problems: dict[Path, str] = {}
    for claim, claimants in claims.items():
        if len({one.path for one in claimants}) > 1:
            for one in claimants:
                if one.release is not None and any(other.release is None for other in claimants):
                    continue  # what is deployed stays; the file is what clashes
                others = ", ".join(f"'{other.name}' ({other.path.name})" for other in claimants if other is not one)
                problems[one.path] = f"{claim} also belongs to {others}; a table or name belongs to one pipeline (D11)"
    return [
        replace(one, spec=None, problem=problems[one.path], said=one.name) if one.path in problems else one
        for one in loaded
    ]
