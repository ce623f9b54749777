"""Tables, as a section of the web app."""

from __future__ import annotations

from pathlib import Path

from drls_dagster.web.tables import explorer, filed, looks, preview
from lifecycle.app.kit import needs
from lifecycle.app.kit.section import NavLink, Pages, Section

HERE = Path(__file__).parent

PAGES = {
    ("GET", "/tables"): needs.READ,
    ("GET", "/tables/health"): needs.READ,
    ("GET", "/tables/{name}"): needs.READ,
    ("GET", "/tables/{name}/columns"): needs.READ,
    ("GET", "/tables/{name}/preview"): needs.READ,
    ("GET", "/tables/{name}/statistics"): needs.READ,
    ("GET", "/tables/{name}/snapshots"): needs.READ,
    ("GET", "/tables/{name}/files"): needs.READ,
    ("GET", "/tables/{name}/lineage"): needs.READ,
}

SECTION = Section(
    "tables",
    nav=(NavLink("/tables", "Tables"),),
    pages=Pages((explorer.router, looks.router, preview.router, filed.router), PAGES),
    templates=HERE / "templates",
    static=HERE / "static",
)
