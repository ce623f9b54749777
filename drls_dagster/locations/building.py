"""All pipelines of an environment as one code location, where no pipeline can harm another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping

import dagster as dg

from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.pipeline_files import Loaded, refuse_twins
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment


def build_location(
    loaded: Iterable[Loaded], environment: Environment, settings: Settings, *, starting: Container[str] = ()
) -> dg.Definitions:
    """The definitions of an environment. What cannot be built, or clashes, is an asset that shows its error.

    `starting` names the pipelines whose schedules run without anybody starting them.
    """
    loaded = refuse_twins(list(loaded))
    built: list[dg.Definitions] = []
    broken: list[dg.AssetSpec] = []
    names: Counter[str] = Counter()  # files in two folders may be called the same
    for one in loaded:
        problem = one.problem
        if one.spec is not None:
            try:
                search_path = (one.path.parent.resolve(),)
                made = compile_pipeline(
                    one.spec,
                    environment,
                    settings,
                    search_path=search_path,
                    release=one.release,
                    starts=one.name in starting,
                )
                built.append(made)
            except Exception as error:  # noqa: BLE001  one pipeline must not take the location down
                problem = f"{type(error).__name__}: {error}" if not str(error) else str(error)
        if problem is not None:
            names[one.name] += 1
            name = one.name if names[one.name] == 1 else f"{one.name}_{names[one.name]}"
            broken.append(_broken_asset(environment, name, one, problem))
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


def _broken_asset(environment: Environment, name: str, one: Loaded, problem: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        dg.AssetKey([str(environment), "broken", name]),
        group_name="broken",
        kinds={"error"},
        description=f"Pipeline {one.name} cannot be built.\n\n{problem}",
        metadata={"error": dg.MetadataValue.md(f"```\n{problem}\n```"), "file": one.path.name},
    )
