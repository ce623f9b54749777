"""A secret that was just made, in the answer to the form that made it and nowhere else."""

from __future__ import annotations

from datetime import datetime

from fastapi import Request
from starlette.responses import Response

from lifecycle.app.kit.render import render


def shown_once(request: Request, *, what: str, secret: str, until: datetime, back: str, hint: str) -> Response:
    """The secret with a button to copy it: in place of the form where scripts run, else as a page of its own."""
    scripted = "hx-request" in request.headers
    template = "parts/secret.html" if scripted else "parts/secret_page.html"
    answer = render(request, template, what=what, secret=secret, until=until, back=back, hint=hint)
    # The form goes: its idempotency key is used up.
    answer.headers["HX-Retarget"], answer.headers["HX-Reswap"] = "closest .once", "innerHTML"
    return answer
