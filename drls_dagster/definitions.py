"""One attribute per environment; a code location loads the one that it is for."""

from __future__ import annotations

import dagster as dg

from drls_dagster.locations.deployed import load_environment
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment


@dg.definitions
def development() -> dg.Definitions:
    """The versions saved last, and the files of the pipeline folder that nobody has saved yet."""
    return load_environment(Environment.DEVELOPMENT, load_settings())


@dg.definitions
def qa() -> dg.Definitions:
    """The versions that are deployed in QA."""
    return load_environment(Environment.QA, load_settings())


@dg.definitions
def uat() -> dg.Definitions:
    """The versions that are deployed in UAT."""
    return load_environment(Environment.UAT, load_settings())


@dg.definitions
def production() -> dg.Definitions:
    """The versions that are deployed in production."""
    return load_environment(Environment.PRODUCTION, load_settings())
