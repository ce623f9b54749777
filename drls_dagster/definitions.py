"""One attribute per environment; a code location loads the one that it is for."""

from __future__ import annotations

import dagster as dg

from drls_dagster.assets.location import build_location, load_folder
from drls_dagster.settings import load_settings


@dg.definitions
def development() -> dg.Definitions:
    """The pipeline files of the configured folder."""
    settings = load_settings()
    return build_location(load_folder(settings.pipeline_folder), "development", settings)


@dg.definitions
def qa() -> dg.Definitions:
    return dg.Definitions()


@dg.definitions
def uat() -> dg.Definitions:
    return dg.Definitions()


@dg.definitions
def production() -> dg.Definitions:
    return dg.Definitions()
