"""All pipelines of an environment as one code location, where no pipeline can harm another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg

from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.settings import Settings
from lifecycle.domain.releases import Release
from lifecycle.spec import PipelineSpec, SpecError, load_pipeline, resolve_lock

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Loaded:
    """A pipeline file or a deployed version: its spec, or what is wrong with it.

    `path` is where it, or the modules that it names, are looked for.
    """

    path: Path
    spec: PipelineSpec | None = None
    problem: str | None = None
    release: Release | None = None

    @property
    def name(self) -> str:
        if self.release is not None:
            return self.release.pipeline
        return self.spec.name if self.spec else self.path.stem


def pipeline_files(folder: Path) -> list[Path]:
    """The pipeline files of a folder and of the folders in it."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and is_pipeline_file(path))


def is_pipeline_file(path: Path) -> bool:
    """Whether a file says that it is a pipeline: other YAML and JSON may lie beside them."""
    if any(part.startswith(".") for part in path.parts):
        return False
    try:
        with path.open(errors="replace") as file:
            return "format_version" in file.read(65_536)
    except OSError:
        return False


def load_folder(folder: Path) -> list[Loaded]:
    """Every pipeline file of a folder; one that is wrong says why and harms no other.

    Two files that say the same name, or write the same table, are both wrong (D11).
    """
    return _refuse_twins([load_file(path) for path in pipeline_files(folder)])


def load_file(path: Path) -> Loaded:
    try:
        return Loaded(path, resolve_lock(load_pipeline(path), [path.parent.resolve()]))
    except (SpecError, OSError) as error:
        return Loaded(path, problem=str(error))


def _refuse_twins(loaded: list[Loaded]) -> list[Loaded]:
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
                problems[one.path] = f"{claim} belongs to {others} too; one table and one name have one pipeline (D11)"
    return [replace(one, spec=None, problem=problems[one.path]) if one.path in problems else one for one in loaded]


def build_location(loaded: Iterable[Loaded], environment: str, settings: Settings) -> dg.Definitions:
    """The definitions of an environment. What cannot be built, or clashes, is an asset that shows its error."""
    loaded = _refuse_twins(list(loaded))
    built: list[dg.Definitions] = []
    broken: list[dg.AssetSpec] = []
    for one in loaded:
        problem = one.problem
        if one.spec is not None:
            try:
                search_path = (one.path.parent.resolve(),)
                made = compile_pipeline(one.spec, environment, settings, search_path=search_path, release=one.release)
                built.append(made)
            except Exception as error:  # noqa: BLE001  one pipeline must not take the location down
                problem = f"{type(error).__name__}: {error}" if not str(error) else str(error)
        if problem is not None:
            broken.append(_broken_asset(environment, one, problem))
    return merge([*built, *([dg.Definitions(assets=broken)] if broken else [])])


def merge(parts: list[dg.Definitions]) -> dg.Definitions:
    """One Definitions of many: a source's spec stays only where nobody writes that table, and only once."""
    written = {
        key
        for part in parts
        for asset in part.assets or ()
        if isinstance(asset, dg.AssetsDefinition)
        for key in asset.keys
    }
    seen: set[dg.AssetKey] = set()
    assets: list[object] = []
    resources: dict[str, object] = {}
    for part in parts:
        for asset in part.assets or ():
            if isinstance(asset, dg.AssetSpec):
                if asset.key in written or asset.key in seen:
                    continue
                seen.add(asset.key)
            assets.append(asset)
        shared: Mapping[str, object] = part.resources or {}
        for name, resource in shared.items():
            resources.setdefault(name, resource)
    return dg.Definitions(
        assets=assets,  # pyright: ignore[reportArgumentType]
        asset_checks=[check for part in parts for check in part.asset_checks or ()],
        jobs=[job for part in parts for job in part.jobs or ()],
        schedules=[schedule for part in parts for schedule in part.schedules or ()],
        resources=resources,
        # Also for what Dagster's UI materializes: a process per step would cost each one its imports.
        executor=dg.in_process_executor,
    )


def _broken_asset(environment: str, one: Loaded, problem: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        dg.AssetKey([environment, "broken", one.name]),
        group_name="broken",
        kinds={"error"},
        description=f"Pipeline {one.name} cannot be built.\n\n{problem}",
        metadata={"error": dg.MetadataValue.md(f"```\n{problem}\n```"), "file": one.path.name},
    )
