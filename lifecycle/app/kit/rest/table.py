"""What every route of REST asks of its caller: the verbs', and of the routes that are no verb. No other is answered."""

from __future__ import annotations

from lifecycle.verbs.table import OPEN, OWN_WRITE, READ, ROWS, Need

TABLE: dict[tuple[str, str], Need] = {
    **{(row.method, row.path): row.need for row in ROWS},
    ("GET", "/api/health"): OPEN,
    ("POST", "/api/session"): OPEN,
    ("POST", "/api/session/link"): OPEN,
    ("GET", "/api/session/oidc"): OPEN,
    ("GET", "/api/session/oidc/callback"): OPEN,
    ("DELETE", "/api/session"): OPEN,
    ("PUT", "/api/me/password"): OWN_WRITE,
    ("GET", "/api/events"): READ,
}
