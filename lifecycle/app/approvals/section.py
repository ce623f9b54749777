"""Requests to promote."""

from __future__ import annotations

from pathlib import Path

from lifecycle.app.approvals import data_diff, pages, promote, review
from lifecycle.app.approvals.present import Comparisons
from lifecycle.app.kit import needs
from lifecycle.app.kit.section import NavLink, Pages, Section

HERE = Path(__file__).parent

PAGES = {
    ("GET", "/badge"): needs.READ,
    ("GET", "/pipelines/{name}/versions/{number}/promote/{target}"): needs.READ,
    ("POST", "/pipelines/{name}/versions/{number}/promote/{target}"): needs.WRITE,
    ("GET", "/approvals"): needs.READ,
    ("GET", "/approvals/pending"): needs.READ,
    ("GET", "/approvals/{promotion_id}"): needs.READ,
    ("GET", "/approvals/{promotion_id}/status"): needs.READ,
    ("GET", "/approvals/{promotion_id}/decision"): needs.READ,
    ("GET", "/approvals/{promotion_id}/activity"): needs.READ,
    ("GET", "/approvals/{promotion_id}/data/{table}"): needs.READ,
    # Teams and single people can be named in a quorum, whatever their role: the verbs ask (as in the REST table).
    ("POST", "/approvals/{promotion_id}/approve"): needs.READ,
    ("POST", "/approvals/{promotion_id}/reject"): needs.READ,
    ("POST", "/approvals/{promotion_id}/review"): needs.READ,
    ("POST", "/approvals/{promotion_id}/comments"): needs.READ,
    ("POST", "/approvals/{promotion_id}/withdraw"): needs.WRITE,
    ("POST", "/approvals/{promotion_id}/refresh"): needs.WRITE,
    ("POST", "/approvals/{promotion_id}/execute"): needs.WRITE,
}

SECTION = Section(
    "approvals",
    nav=(NavLink("/approvals", "Approvals", badge="approvals/badge.html"),),
    pages=Pages((pages.router, review.router, data_diff.router, promote.router), PAGES),
    templates=HERE / "templates",
    static=HERE / "static",
    keeps=lambda _context, _parts: (Comparisons(),),
)
