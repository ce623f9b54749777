"""The sections of the approvals app and of this package, in the order of their links in the bar."""

from __future__ import annotations

from lifecycle.app.kit.parts import DagsterAt
from lifecycle.app.kit.section import NavLink, Section
from lifecycle.app.sections import SECTIONS as APPROVALS_APP

DAGSTER_PATH = "/dagster"
# Its pages are Dagster's own, behind the door of `drls up`.
DAGSTER = Section("dagster", nav=(NavLink(DAGSTER_PATH, "Dagster"),), needs=(DagsterAt,))

_TABLES = "drls_dagster.web.tables.section"
_BEFORE = "lifecycle.app.audit.section"

SECTIONS: tuple[str, ...] = tuple(
    name for one in APPROVALS_APP for name in ((_TABLES, one) if one == _BEFORE else (one,))
)
