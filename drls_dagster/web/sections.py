"""The sections of the approvals app and of this package, in the order of their links in the bar."""

from __future__ import annotations

from lifecycle.app.sections import SECTIONS as APPROVALS_APP

_TABLES = "drls_dagster.web.tables.section"
_BEFORE = "lifecycle.app.audit.section"

SECTIONS: tuple[str, ...] = tuple(
    name for one in APPROVALS_APP for name in ((_TABLES, one) if one == _BEFORE else (one,))
)
