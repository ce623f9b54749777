"""The audit log."""

from __future__ import annotations

from pathlib import Path

from lifecycle.app.audit import pages
from lifecycle.app.audit.chain_state import ChainWatch
from lifecycle.app.kit import needs
from lifecycle.app.kit.section import NavLink, Pages, Section
from lifecycle.domain.roles import Role

HERE = Path(__file__).parent

PAGES = {
    ("GET", "/audit"): needs.ADMIN,
    ("GET", "/audit/chain"): needs.ADMIN,
    ("GET", "/audit/export"): needs.ADMIN,
    ("GET", "/audit/log"): needs.ADMIN,
    ("GET", "/audit/anchor"): needs.ADMIN,
    ("POST", "/audit/rescan"): needs.ADMIN,
}

SECTION = Section(
    "audit",
    nav=(NavLink("/audit", "Audit", role=Role.ADMIN),),
    pages=Pages((pages.router,), PAGES),
    templates=HERE / "templates",
    keeps=lambda context, _: (ChainWatch(context.store),),
)
