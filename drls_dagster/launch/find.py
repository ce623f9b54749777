"""The pipeline that a name or a file means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.settings import Settings, examples_folder
from lifecycle.domain.environment import Environment
from lifecycle.errors import NotFound

if TYPE_CHECKING:
    from drls_dagster.pipeline_files import Loaded


def find_pipeline(name: str, settings: Settings, environment: Environment = Environment.DEVELOPMENT) -> Loaded:
    """The pipeline of that name as it is deployed in `environment`.

    In development also that of a file, or an unsaved one of the configured folder. Raises UsageError; NotFound for a
    name that no pipeline has there.
    """
    from drls_dagster.pipeline_files import SUFFIXES, load_file

    path, label = Path(name), environment.label
    if path.suffix in SUFFIXES or path.is_file():
        if environment != Environment.DEVELOPMENT:
            raise UsageError(f"{name} is a file, and files run in development; save it and promote it to {label}")
        if not path.is_file():
            raise UsageError(f"there is no file {name}")
        loaded = load_file(path)
    else:
        from drls_dagster.locations.versions import load_deployed

        all_loaded = load_deployed(environment, settings)
        found = [one for one in all_loaded if name in (one.name, one.said)]
        if not found:
            known = ", ".join(sorted(one.name for one in all_loaded)) or "none"
            where = f"in {label}" if environment != Environment.DEVELOPMENT else f"in {settings.pipeline_folder}"
            if environment == Environment.DEVELOPMENT:
                remedy = _example(name)
            else:
                remedy = f"; promote one: drls promote {name} --to {environment}"
            raise NotFound(f"there is no pipeline {name!r} {where}; there are: {known}{remedy}")
        loaded = found[0]
    if loaded.spec is None:
        raise UsageError(f"{loaded.path.name} cannot be used: {loaded.problem or 'it cannot be read'}")
    return loaded


def _example(name: str) -> str:
    """How to run the example of that name; empty without one. Your own folder hides the examples."""
    here = Path.cwd()
    files = [file for file in examples_folder().rglob("*.yaml") if file.stem == name]
    shown = [file.relative_to(here) if file.is_relative_to(here) else file for file in files]
    return "".join(f"; it is an example: drls run {file}" for file in shown)
