"""What runs in each environment."""

from __future__ import annotations

from pathlib import Path

from lifecycle.app.environments import pages
from lifecycle.app.kit import needs
from lifecycle.app.kit.section import NavLink, Pages, Section

HERE = Path(__file__).parent

PAGES = {
    ("GET", "/environments"): needs.READ,
    ("GET", "/environments/live"): needs.READ,
    ("GET", "/environments/{environment}"): needs.READ,
    ("GET", "/environments/{environment}/live"): needs.READ,
}

SECTION = Section(
    "environments",
    nav=(NavLink("/environments", "Environments"),),
    pages=Pages((pages.router,), PAGES),
    templates=HERE / "templates",
)
