"""`drls review`: a second look at releases that went out without an independent approval (L7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drls_dagster.cli.approvals import request_argument
from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import key_option, plan_digest_option, print_model, print_models, reason_option
from drls_dagster.cli.output import json_option
from drls_dagster.cli.requests import print_requests

if TYPE_CHECKING:
    from lifecycle.domain.promotion import Verdict


@click.group()
def review() -> None:
    """Review releases that went live without independent approval: break-glass and self-approved ones."""


@review.command("list")
@json_option
def list_releases(as_json: bool) -> None:
    """List releases awaiting review, oldest first. `expires` is when the review is due."""
    with lifecycle() as client:
        found = client.promotions.unreviewed()
    if as_json:
        print_models(found)
        return
    print_requests(found)


@review.command()
@request_argument
@plan_digest_option
@reason_option
@key_option
@json_option
def approve(request: int, plan_digest: str | None, reason: str, key: str | None, as_json: bool) -> None:
    """Mark a release as right. It keeps the label "unreviewed", because nobody reviewed it before it went live."""
    from lifecycle.domain.promotion import Verdict

    _review(request, plan_digest, Verdict.APPROVE, reason, key, as_json)


@review.command()
@request_argument
@plan_digest_option
@reason_option
@key_option
@json_option
def reject(request: int, plan_digest: str | None, reason: str, key: str | None, as_json: bool) -> None:
    """Mark a release as wrong. This undoes nothing; use `drls rollback` for that."""
    from lifecycle.domain.promotion import Verdict

    _review(request, plan_digest, Verdict.REJECT, reason, key, as_json)


def _review(
    request: int, plan_digest: str | None, verdict: Verdict, reason: str, key: str | None, as_json: bool
) -> None:
    with lifecycle() as client:
        looked_at = plan_digest or client.promotions.show(request).plan_digest
        reviewed = client.promotions.review(request, looked_at, verdict, reason=reason, key=key)
    if as_json:
        print_model(reviewed)
        return
    what = f"{reviewed.pipeline} v{reviewed.version} in {reviewed.target.label}"
    said = "right" if verdict.value == "approve" else "wrong"
    click.echo(f"Request {request}, {what}: reviewed, {said}: {reason}")
