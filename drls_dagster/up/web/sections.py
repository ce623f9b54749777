"""The sections of the site that `drls up` serves: those of the approvals app, and what shows Dagster in it.

A new one is a line here: the dotted name of a module that has SECTION in it.
"""

from __future__ import annotations

from drls_dagster.up.web.workspace import PREFIX
from lifecycle.app.kit.parts import DagsterAt
from lifecycle.app.kit.section import NavLink, Section
from lifecycle.app.sections import SECTIONS as APPROVALS_APP

# Its pages are Dagster's own, behind the guard.
DAGSTER = Section("dagster", nav=(NavLink(PREFIX, "Dagster"),), needs=(DagsterAt,))

SECTIONS = (
    *APPROVALS_APP,
    DAGSTER,
)
