"""Tables, as a section of the web app."""

from __future__ import annotations

from pathlib import Path

from drls_dagster.web.tables import care, explorer, filed, looks, maintain, operations, preview
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
    ("GET", "/tables/{name}/health"): needs.READ,
    ("GET", "/tables/{name}/lineage"): needs.READ,
    ("GET", "/tables/{name}/maintain"): needs.READ,
    ("POST", "/tables/{name}/maintain"): needs.LEAD,
    ("GET", "/operations"): needs.READ,
    ("GET", "/operations/live"): needs.READ,
    ("GET", "/operations/{operation_id}"): needs.READ,
    ("GET", "/operations/{operation_id}/live"): needs.READ,
    ("POST", "/operations/{operation_id}/cancel"): needs.LEAD,
}

SECTION = Section(
    "tables",
    nav=(NavLink("/tables", "Tables"),),
    pages=Pages(tuple(one.router for one in (explorer, looks, preview, filed, care, maintain, operations)), PAGES),
    templates=HERE / "templates",
    static=HERE / "static",
)
