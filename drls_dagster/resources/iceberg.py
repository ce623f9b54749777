"""The Iceberg catalog as a Dagster resource."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from drls_dagster.lakehouse.catalog import load_catalog, spark_catalog_conf
from drls_dagster.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


class Iceberg(dg.ConfigurableResource):
    """The catalog that `drls.toml` describes, for assets and checks.

    Its configuration is where to look, never a credential: Dagster stores and shows it.
    """

    home: str | None = Field(default=None, description="The DRLS_HOME to read; default: that of the process")

    def settings(self) -> Settings:
        """The settings of the home. Raises UsageError for a wrong value."""
        return load_settings(Path(self.home).expanduser().absolute() if self.home else None)

    def catalog(self) -> Catalog:
        """The catalog for PyIceberg, one object per process. Raises DrlsError when it cannot be reached."""
        return load_catalog(self.settings())

    def spark_conf(self) -> dict[str, str]:
        """The same catalog as Spark settings, credentials included: never log them."""
        return spark_catalog_conf(self.settings())
