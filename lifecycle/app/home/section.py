"""Home: what waits for the visitor, and the board."""

from __future__ import annotations

from pathlib import Path

from lifecycle.app.home import api, operations, pages
from lifecycle.app.kit import needs
from lifecycle.app.kit.section import Api, NavLink, Pages, Section
from lifecycle.verbs.table import OPEN, READ

HERE = Path(__file__).parent

PAGES = {
    ("GET", "/"): needs.READ,
    ("GET", "/waiting"): needs.READ,
    ("GET", "/board"): needs.READ,
}
API = {
    ("GET", "/api/health"): OPEN,
    ("GET", "/api/events"): READ,
    ("GET", "/api/operations/{operation_id}/events"): READ,
}

SECTION = Section(
    "home",
    nav=(NavLink("/", "Home"),),
    pages=Pages((pages.router,), PAGES),
    api=Api((api.router, operations.router), API),
    templates=HERE / "templates",
)
