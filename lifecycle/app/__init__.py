"""The approvals app: REST routes, sign-in, roles. It sees ports, never their adapters."""

from __future__ import annotations

from lifecycle.app.make_api import create_app

__all__ = ["create_app"]
