"""Pipelines and their versions."""

from __future__ import annotations

from pathlib import Path

from lifecycle.app.kit import needs
from lifecycle.app.kit.section import NavLink, Pages, Section
from lifecycle.app.pipelines import actions, compare, pages, pipeline

HERE = Path(__file__).parent

PAGES = {
    ("GET", "/pipelines"): needs.READ,
    ("POST", "/pipelines/import"): needs.WRITE,
    ("GET", "/pipelines/{name}"): needs.READ,
    ("GET", "/pipelines/{name}/state"): needs.READ,
    ("POST", "/pipelines/{name}/versions"): needs.WRITE,
    ("GET", "/pipelines/{name}/versions/{number}"): needs.READ,
    ("GET", "/pipelines/{name}/versions/{number}/definition.yaml"): needs.READ,
    ("GET", "/pipelines/{name}/versions/{number}/clone"): needs.WRITE,
    ("POST", "/pipelines/{name}/versions/{number}/clone"): needs.WRITE,
    ("GET", "/pipelines/{name}/delete"): needs.LEAD,
    ("POST", "/pipelines/{name}/delete"): needs.LEAD,
    ("GET", "/pipelines/{name}/compare"): needs.READ,
    ("GET", "/pipelines/{name}/compare/{before}/{after}"): needs.READ,
}

SECTION = Section(
    "pipelines",
    nav=(NavLink("/pipelines", "Pipelines"),),
    pages=Pages((pages.router, pipeline.router, actions.router, compare.router), PAGES),
    templates=HERE / "templates",
    static=HERE / "static",
)
