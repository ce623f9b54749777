"""What people do to a release or an environment."""

from __future__ import annotations

from pathlib import Path

from lifecycle.app.acts import break_glass, demote, drifts, evidence_session, holds, retire, rollback
from lifecycle.app.kit import needs
from lifecycle.app.kit.section import Pages, Section

HERE = Path(__file__).parent
ACTS = (break_glass, demote, drifts, evidence_session, holds, retire, rollback)

# The page says to those who may look why they may not act.
PAGES = {
    ("GET", "/environments/{environment}/freeze"): needs.READ,
    ("POST", "/environments/{environment}/freeze"): needs.LEAD,
    ("GET", "/environments/{environment}/stop"): needs.READ,
    ("POST", "/environments/{environment}/stop"): needs.LEAD,
    ("GET", "/environments/{environment}/session/{name}"): needs.READ,
    ("POST", "/environments/{environment}/session/{name}"): needs.WRITE,
    ("GET", "/holds/{hold_id}/lift"): needs.READ,
    ("POST", "/holds/{hold_id}/lift"): needs.LEAD,
    ("GET", "/drifts/{drift_id}"): needs.READ,
    ("POST", "/drifts/{drift_id}/adopt"): needs.LEAD,
    ("POST", "/drifts/{drift_id}/revert"): needs.LEAD,
    ("GET", "/pipelines/{name}/versions/{number}/demote"): needs.READ,
    ("POST", "/pipelines/{name}/versions/{number}/demote"): needs.LEAD,
    ("GET", "/pipelines/{name}/versions/{number}/retire"): needs.READ,
    ("POST", "/pipelines/{name}/versions/{number}/retire"): needs.LEAD,
    ("GET", "/pipelines/{name}/versions/{number}/break-glass"): needs.READ,
    ("POST", "/pipelines/{name}/versions/{number}/break-glass"): needs.LEAD,
    ("GET", "/pipelines/{name}/rollback"): needs.READ,
    ("POST", "/pipelines/{name}/rollback"): needs.LEAD,
}

SECTION = Section(
    "acts",
    pages=Pages(tuple(one.router for one in ACTS), PAGES),
    templates=HERE / "templates",
)
