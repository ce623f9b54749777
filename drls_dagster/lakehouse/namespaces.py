"""Makes the namespace of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.typedef import Identifier


def ensure_namespace(catalog: Catalog, namespace: str | Identifier) -> None:
    """Creates it where it does not exist, also while another process does."""
    from sqlalchemy.exc import IntegrityError

    try:
        catalog.create_namespace_if_not_exists(namespace)
    except IntegrityError:  # PyIceberg's SQL catalog looks first and then inserts, and lets this through
        if not catalog.namespace_exists(namespace):
            raise
